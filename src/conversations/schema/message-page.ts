import { type FieldNode, getArgumentValues, type GraphQLResolveInfo, isObjectType } from 'graphql';
import { rolesFor } from '../../access/visibility.ts';
import type { Conversation } from '../../generated/prisma/client.ts';
import type { MessageRole } from '../../generated/prisma/enums.ts';
import { type ConnectionPage, Keyset, keysetPage, type PageArguments } from '../../graphql/connection.ts';
import type { GraphQLContext } from '../../graphql/context.ts';
import { onlyFieldBelow, selectingBelow, type Selected } from '../../graphql/selection.ts';
import { findConversation, findConversationWithMessages } from '../lists/find-conversation.ts';
import { listMessages, type MessagesPage, type MessagesQuery } from '../lists/list-messages.ts';
import { companions } from '../log/companions.ts';
import type { MessageRow } from '../log/rows.ts';

const byPosition = new Keyset({ position: 'integer' });

const selectsFragments = selectingBelow(['fragments', 'text']);
const selectsCompanions = selectingBelow(companions);

interface MessagesArguments extends PageArguments {
  roles?: readonly MessageRole[] | null | undefined;
  includeSuperseded: boolean;
}

/** A conversation, with the page of its messages that was read together with it. */
export interface ConversationRow extends Conversation {
  readTogether?: { field: FieldNode; messages: ConnectionPage<MessageRow> };
}

/** The page of messages that a field asks for. */
export async function messagesOf(
  conversation: ConversationRow,
  args: MessagesArguments,
  context: GraphQLContext,
  info: GraphQLResolveInfo,
): Promise<ConnectionPage<MessageRow>> {
  const { readTogether } = conversation;
  if (readTogether && info.fieldNodes.length === 1 && info.fieldNodes[0] === readTogether.field) {
    return readTogether.messages;
  }
  return pageOf(conversation, args, context, info, (query) => listMessages(context.services.pool, query));
}

/** A conversation that the viewer sees. If just one page of its messages is asked for, both are read in one statement. */
export async function conversationById(
  id: string,
  context: GraphQLContext,
  info: GraphQLResolveInfo,
): Promise<ConversationRow | null> {
  const { services, viewer } = context;
  const alone = () => findConversation(services.pool, viewer, id);
  const below = messagesBelow(info);
  if (!below) return alone();
  const { field, args } = below;
  let found: Conversation | null | undefined;
  try {
    const asked = { id, organizationId: viewer.organizationId };
    const selected = { fieldNodes: [field], fragments: info.fragments };
    const read = async (query: MessagesQuery) => {
      found = null;
      const both = await findConversationWithMessages(services.pool, viewer, query);
      found = both?.conversation ?? null;
      return both?.messages ?? { rows: [], bytes: 0 };
    };
    // It is a page like those that their own fields read.
    const messages = await context.budget.pages.run(() => pageOf(asked, args, context, selected, read));
    return found ? { ...found, readTogether: { field, messages } } : null;
  } catch (error) {
    // What is wrong with its arguments the field itself tells.
    if (found === undefined) return alone();
    throw error;
  }
}

function messagesBelow(info: GraphQLResolveInfo): { field: FieldNode; args: MessagesArguments } | null {
  const field = onlyFieldBelow(info, 'messages');
  const type = info.schema.getType('Conversation');
  const definition = isObjectType(type) ? type.getFields()['messages'] : undefined;
  if (!field || !definition) return null;
  try {
    // The schema of the arguments is what their type is made from.
    const args: unknown = getArgumentValues(definition, field, info.variableValues);
    return { field, args: args as MessagesArguments };
  } catch {
    return null;
  }
}

async function pageOf(
  conversation: MessagesQuery['conversation'],
  { roles, includeSuperseded, ...page }: MessagesArguments,
  { viewer, budget }: GraphQLContext,
  selected: Selected,
  read: (query: MessagesQuery) => Promise<MessagesPage>,
): Promise<ConnectionPage<MessageRow>> {
  return keysetPage(
    page,
    byPosition,
    (row: MessageRow) => row,
    async (slice) => {
      const { rows, bytes } = await read({
        ...slice,
        conversation,
        roles: rolesFor(viewer, roles),
        includeSuperseded,
        withFragments: selectsFragments(selected),
        withCompanions: selectsCompanions(selected),
        most: budget.readable,
      });
      budget.addRead(bytes);
      return rows;
    },
  );
}
