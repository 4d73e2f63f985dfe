import { type Caller, participantOf } from '../../access/caller.ts';
import { finders, theOne } from '../../access/finders.ts';
import { type NamedAttachments, readFiles } from '../../attachments/name-in-message.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { HandedOffError } from '../failures.ts';
import type { Change } from '../log/append.ts';
import { type Committed, commit, type Completion } from '../log/commit.ts';
import { readHandoff } from '../log/holder.ts';
import { withFiles } from './message-files.ts';
import { idempotencyOf } from './idempotency.ts';
import { type AuthorInput, InputReader, type StateInput } from './input.ts';
import { type MessageInput, readContent } from './message-input.ts';
import type { ConversationServices } from '../services.ts';
import { ruleFor } from '../log/transitions.ts';

export interface AddAgentMessageInput extends Omit<MessageInput, 'author' | 'contactId' | 'queryMetadata'> {
  conversationId: string;
  author?: (AuthorInput & { kind: 'AI_AGENT' | 'HUMAN_AGENT' }) | null | undefined;
  inReplyToId?: string | null | undefined;
  stateAfter?: StateInput | null | undefined;
  onBusy: 'REJECT' | 'INTERRUPT';
  expectedVersion?: number | null | undefined;
  idempotencyKey?: string | null | undefined;
}

/**
 * Adds a message in the agent's name, written by a human or by a program outside Parley. An operator writes as themself, and only
 * while they have the handoff: otherwise throws `NotHandedOffError` or `HandedOffError`.
 */
export async function addAgentMessage(
  services: ConversationServices,
  caller: Caller,
  input: AddAgentMessageInput,
): Promise<Committed> {
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  const reader = new InputReader();
  const key = reader.idempotencyKey(input.idempotencyKey);
  const { operatorId } = caller;
  if (operatorId !== null && input.author) reader.refuse(['author'], 'Is yourself, for an operator.');
  const kind = input.author?.kind ?? 'AI_AGENT';
  const given = { ...(input.author && reader.author(['author'], input.author)), kind };
  const author = operatorId === null ? given : caller.actor;
  const content = readContent(reader, [], input);
  const state = input.stateAfter ? reader.state(['stateAfter'], input.stateAfter) : null;
  const inReplyToId = await findAnswered(services, caller, conversationId, input.inReplyToId);
  const path = ['attachments'];
  const files = readFiles(reader, caller, path, input.attachments);
  reader.finish();
  const idempotency = idempotencyOf(caller.id, key, 'addAgentMessage', { ...input });
  const changeWith = (attachments: NamedAttachments | null): Change => ({
    conversationId,
    organizationId: caller.organizationId,
    rule: ruleFor(operatorId === null ? 'addAgentMessage' : 'answer', input.onBusy),
    actor: caller.actor,
    participant: participantOf(caller),
    serverId: services.serverId(),
    expectedVersion: input.expectedVersion,
    idempotency,
    message: { id: services.newId(), role: 'AGENT', author, inReplyToId, ...content, attachments },
    state,
  });
  const holds: Completion = async (db, locked) => {
    const handoffId = locked?.handoffId ?? '';
    const handoff = await readHandoff(db, handoffId);
    if (handoff.operatorId !== operatorId) throw new HandedOffError(conversationId, handoffId);
    return {};
  };
  return withFiles(services, caller, { files, path, idempotency }, (attachments) =>
    commit(services, changeWith(attachments), operatorId === null ? undefined : holds),
  );
}

/** A message of the same conversation. Messages are never removed, so reading it before the write is safe. */
async function findAnswered(
  services: ConversationServices,
  caller: Caller,
  conversationId: string,
  id: string | null | undefined,
): Promise<string | null> {
  if (id == null) return null;
  const uuid = decodeId('Message', id);
  const message = uuid && (await theOne(finders.Message({ services, viewer: caller }, [uuid])));
  if (!message || message.conversationId !== conversationId) throw new NotFoundError(['inReplyToId']);
  return message.id;
}
