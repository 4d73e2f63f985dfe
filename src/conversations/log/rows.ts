import type { Conversation, Handoff, Message } from '../../generated/prisma/client.ts';
import type { Queryable } from '../../db.ts';
import {
  conversationJson,
  type ConversationValues,
  type FragmentValues,
  fragmentsJson,
  handoffJson,
  type HandoffValues,
  messageJson,
  type MessageValues,
  usualFragment,
  usualMessage,
} from './columns.ts';
import type { FragmentRow } from './read.ts';

/** A message, with rows that were read together with it. */
export interface MessageRow extends Message {
  /** Undefined or null if not read yet. */
  fragments?: FragmentRow[] | Promise<FragmentRow[]> | null;
  /** Whether neither the fragments nor the large columns were read, because the page held too much. */
  isCut?: boolean;
  /** The message that it answers, if everyone who sees one may see the other. */
  inReplyTo?: Message;
}

/** A conversation, with the rows that a change wrote or that an event is about. */
export interface Rows {
  conversation: Conversation;
  message: MessageRow | null;
  reply: MessageRow | null;
  handoff: Handoff | null;
}

/** `Rows` as returned by a statement. */
export interface RowsAsJson {
  conversation: ConversationValues;
  message: MessageValues | null;
  reply: MessageValues | null;
  handoff: HandoffValues | null;
}

export function rowsOf({ conversation, message, reply, handoff }: RowsAsJson): Rows {
  const whole = conversationOf(conversation);
  return {
    conversation: whole,
    message: message && messageOf(whole, message),
    reply: reply && messageOf(whole, reply),
    handoff: handoff && handoffOf(handoff),
  };
}

/** Written out, like the others: an object that is filled in a loop takes several times as long. */
export function conversationOf(values: ConversationValues): Conversation {
  const [
    id,
    organizationId,
    agentId,
    contactId,
    inboxId,
    version,
    status,
    title,
    playbook,
    phase,
    systemMessage,
    context,
    systemPrompt,
    corpusId,
    runtimeParameters,
    metadata,
    searchMetadata,
    nextPosition,
    messageCount,
    lastMessageId,
    runningReplyId,
    runningServerId,
    runningReplyVersion,
    handoffId,
    labels,
    continuesId,
    createdAt,
    updatedAt,
    endedAt,
  ] = values;
  return {
    id,
    organizationId,
    agentId,
    contactId,
    inboxId,
    version,
    status,
    title,
    playbook,
    phase,
    systemMessage,
    context,
    systemPrompt,
    corpusId,
    runtimeParameters,
    metadata,
    searchMetadata,
    nextPosition,
    messageCount,
    lastMessageId,
    runningReplyId,
    runningServerId,
    runningReplyVersion,
    handoffId,
    labels,
    continuesId,
    createdAt: new Date(createdAt),
    updatedAt: new Date(updatedAt),
    endedAt: time(endedAt),
  };
}

/** A message of that conversation. */
export function messageOf(
  { id: conversationId, organizationId }: Pick<Conversation, 'id' | 'organizationId'>,
  values: MessageValues,
): MessageRow {
  const [id, position, role, author, status, createdVersion, createdAt, completedAt, rare, fragments, isCut] = values;
  const [
    inReplyToId,
    supersedesId,
    errorDetail,
    metadata,
    contentPayload,
    queryMetadata,
    canvas,
    stateAfter,
    runtimeParameters,
    inputTokens,
    outputTokens,
    clientId,
    clientIdOf,
    erasedAt,
  ] = rare ?? usualMessage;
  return {
    id,
    conversationId,
    organizationId,
    position,
    role,
    author,
    status,
    createdVersion,
    inReplyToId,
    supersedesId,
    errorDetail,
    metadata,
    contentPayload,
    queryMetadata,
    canvas,
    stateAfter,
    runtimeParameters,
    inputTokens,
    outputTokens,
    clientId,
    clientIdOf,
    createdAt: new Date(createdAt),
    completedAt: time(completedAt),
    erasedAt: time(erasedAt),
    fragments: fragments && fragments.map((fragment) => fragmentOf(id, fragment)),
    isCut,
  };
}

function fragmentOf(messageId: string, values: FragmentValues): FragmentRow {
  const [index, kind, status, text, rare] = values;
  const [name, args, callIndex, response, failed, metadata, visibility] = rare ?? usualFragment;
  return { messageId, index, kind, status, text, name, args, callIndex, response, failed, metadata, visibility };
}

function handoffOf(values: HandoffValues): Handoff {
  const [
    id,
    conversationId,
    organizationId,
    startedVersion,
    reason,
    queue,
    assignee,
    operatorId,
    metadata,
    startedAt,
    acceptedAt,
    endedAt,
  ] = values;
  return {
    id,
    conversationId,
    organizationId,
    startedVersion,
    reason,
    queue,
    assignee,
    operatorId,
    metadata,
    startedAt: new Date(startedAt),
    acceptedAt: time(acceptedAt),
    endedAt: time(endedAt),
  };
}

function time(milliseconds: number | null): Date | null {
  return milliseconds === null ? null : new Date(milliseconds);
}

/** Which rows to read besides the conversation's. */
export interface RowIds {
  conversationId: string;
  messageId?: string | null;
  replyId?: string | null;
  handoffId?: string | null;
  /** Messages without their fragments. */
  bare?: boolean;
}

/** Reads the current rows in one statement. Null if the conversation is deleted. */
export async function readRows(db: Queryable, ids: RowIds): Promise<Rows | null> {
  const { rows } = await db.query<RowsAsJson>({
    name: 'read-rows',
    text: readRowsSql,
    values: [
      ids.conversationId,
      ids.messageId ?? null,
      ids.replyId ?? null,
      ids.handoffId ?? null,
      !(ids.bare ?? false),
    ],
  });
  return rows[0] ? rowsOf(rows[0]) : null;
}

const messageById = (id: string) =>
  `(SELECT ${messageJson('m', { fragments: `CASE WHEN $5::boolean THEN ${fragmentsJson('m')} END` })} FROM message m WHERE m.id = ${id}::uuid)`;

const readRowsSql = /* sql */ `
SELECT ${conversationJson('c')} AS conversation, ${messageById('$2')} AS message, ${messageById('$3')} AS reply,
  (SELECT ${handoffJson('h')} FROM handoff h WHERE h.id = $4::uuid) AS handoff
FROM conversation c WHERE c.id = $1`;
