import { type Caller, participantOf } from '../../access/caller.ts';
import { visibleTo } from '../../access/visibility.ts';
import pg from 'pg';
import { finders, theOne } from '../../access/finders.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { Queryable } from '../../db.ts';
import type { Agent } from '../../generated/prisma/client.ts';
import type { JsonObject } from '../../json.ts';
import { type NamedAttachments, readFiles } from '../../attachments/name-in-message.ts';
import { withEndedReply } from './await-reply.ts';
import { withFiles } from './message-files.ts';
import { type Committed, commit } from '../log/commit.ts';
import { checkState } from '../log/check-state.ts';
import { idempotencyOf } from './idempotency.ts';
import { InputReader, limits, type StateInput } from './input.ts';
import { findContact, type MessageInput, readUserMessage } from './message-input.ts';
import { writeContact } from '../../contacts/commands/upsert.ts';
import { type ContactIdentity, readContact } from '../../contacts/model.ts';
import { readParameters } from './parameters.ts';
import type { StatePatch } from '../model.ts';
import type { ConversationServices } from '../services.ts';
import { ruleFor } from '../log/transitions.ts';

export interface CreateConversationInput {
  agentId?: string | null | undefined;
  contactId?: string | null | undefined;
  /** In place of `contactId`. */
  contact?: ContactIdentity | null | undefined;
  inboxId?: string | null | undefined;
  continues?: string | null | undefined;
  title?: string | null | undefined;
  message?: MessageInput | null | undefined;
  action: 'GENERATE_REPLY' | 'NONE';
  awaitReply: boolean;
  state?: StateInput | null | undefined;
  systemPrompt?: string | null | undefined;
  corpusId?: string | null | undefined;
  runtimeParameters?: unknown;
  metadata?: unknown;
  searchMetadata?: unknown;
  idempotencyKey?: string | null | undefined;
}

/** Creates a conversation: with a message, with the agent's greeting, or empty. */
export async function createConversation(
  services: ConversationServices,
  caller: Caller,
  input: CreateConversationInput,
): Promise<Committed> {
  const reader = new InputReader();
  const key = reader.idempotencyKey(input.idempotencyKey);
  const { agent, inboxId } = await findAgent(services, caller, input);
  const continued = await findContinued(services, caller, reader, input.continues);
  const contact = input.contactId == null ? null : await findContact(services, caller, ['contactId'], input.contactId);
  const corpusId = await findCorpus(services, caller, input.corpusId);
  const identity = input.contact ? readContact(reader, ['contact'], input.contact) : null;
  if (identity && contact) reader.refuse(['contact'], 'Give `contact` or `contactId`, not both.');
  const row: ConversationRow = {
    id: services.newId(),
    agentId: agent.id,
    contactId: contact?.contactId ?? caller.contactId ?? continued?.contactId ?? null,
    continuesId: continued?.id ?? null,
    inboxId,
    corpusId,
    title: reader.text(['title'], input.title) ?? null,
    state: input.state ? reader.state(['state'], input.state) : {},
    systemPrompt: reader.text(['systemPrompt'], input.systemPrompt, limits.systemText) ?? null,
    runtimeParameters: await readParameters(services, reader, input.runtimeParameters, {
      organizationId: caller.organizationId,
      runtime: agent.runtime,
      agent: agent.defaultRuntimeParameters,
    }),
    metadata: reader.object(['metadata'], input.metadata) ?? {},
    searchMetadata: reader.object(['searchMetadata'], input.searchMetadata) ?? {},
  };
  const message = input.message ? await readUserMessage(services, caller, reader, ['message'], input.message) : null;
  const path = ['message', 'attachments'];
  const files = readFiles(reader, caller, path, input.message?.attachments);
  reader.finish();

  const idempotency = idempotencyOf(caller.id, key, 'createConversation', { ...input });
  const create = (attachments: NamedAttachments | null) =>
    commit(
      services,
      {
        conversationId: row.id,
        organizationId: caller.organizationId,
        rule: ruleFor('sendMessage'),
        actor: caller.actor,
        participant: participantOf(caller),
        serverId: services.serverId(),
        idempotency,
        beginning: { type: 'ConversationCreated' },
        message: message && { ...message, attachments },
        reply:
          input.action === 'NONE'
            ? null
            : { id: services.newId(), inReplyToId: message?.id ?? null, supersedesId: null, runtimeParameters: {} },
      },
      async (db) => {
        const { organizationId } = caller;
        const known =
          identity &&
          (await writeContact(db, { id: services.newId(), organizationId, patch: identity, path: ['contact'] }));
        await insertConversation(db, organizationId, { ...row, contactId: known ? known.contactId : row.contactId });
        const before = { playbook: null, phase: null };
        const refusal = await checkState(db, row.agentId, row.state, { path: 'state', before });
        if (refusal) throw refusal;
        return {};
      },
    );
  const committed = await withFiles(services, caller, { files, path, idempotency }, create);
  return input.awaitReply ? withEndedReply(services, caller, committed) : committed;
}

/** A conversation that is about to begin. */
export interface ConversationRow {
  id: string;
  agentId: string;
  contactId: string | null;
  inboxId: string | null;
  corpusId: string | null;
  continuesId: string | null;
  title: string | null;
  state: StatePatch;
  systemPrompt: string | null;
  runtimeParameters: JsonObject;
  metadata: JsonObject;
  searchMetadata: JsonObject;
}

/** The input field behind each foreign key of the row. */
const references: Partial<Record<string, string>> = {
  conversation_agent_id_fkey: 'agentId',
  conversation_contact_id_fkey: 'contactId',
  conversation_continues_id_fkey: 'continues',
  conversation_corpus_id_fkey: 'corpusId',
  conversation_inbox_id_fkey: 'inboxId',
};

/** Throws `NotFoundError` for an object that was deleted after it had been found. */
export async function insertConversation(
  db: pg.PoolClient,
  organizationId: string,
  row: ConversationRow,
): Promise<void> {
  const { playbook, phase, systemMessage, context } = row.state;
  const inserted = db.query({
    name: 'insert-conversation',
    text: `INSERT INTO conversation (id, organization_id, agent_id, contact_id, inbox_id, corpus_id, title, playbook, phase,
        system_message, context, system_prompt, runtime_parameters, metadata, search_metadata, continues_id)
      SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, nullif($11::jsonb, 'null'), $12, $13, $14, $15, $16
      WHERE $4::uuid IS NULL OR EXISTS (SELECT FROM contact WHERE id = $4 AND erasing_since IS NULL FOR KEY SHARE)`,
    values: [
      row.id,
      organizationId,
      row.agentId,
      row.contactId,
      row.inboxId,
      row.corpusId,
      row.title,
      playbook,
      phase,
      systemMessage,
      JSON.stringify(context ?? null),
      row.systemPrompt,
      JSON.stringify(row.runtimeParameters),
      JSON.stringify(row.metadata),
      JSON.stringify(row.searchMetadata),
      row.continuesId,
    ],
  });
  const { rowCount } = await inserted.catch((error: unknown) => {
    const field = error instanceof pg.DatabaseError && references[error.constraint ?? ''];
    throw field ? new NotFoundError([field]) : error;
  });
  if (rowCount === 0) throw new NotFoundError(['contactId']);
}

/** The agent named in the input, else the inbox's, else the organization's default agent. */
export async function findAgent(
  services: Pick<ConversationServices, 'pool' | 'prisma'>,
  caller: Caller,
  input: Pick<CreateConversationInput, 'agentId' | 'inboxId'>,
): Promise<{ agent: FoundAgent; inboxId: string | null }> {
  const { organizationId } = caller;
  const { pool, prisma } = services;
  let inbox = null;
  if (input.inboxId != null || caller.inboxId !== undefined) {
    const id = input.inboxId == null ? caller.inboxId : decodeId('Inbox', input.inboxId);
    const where = { id: id ?? '', AND: visibleTo(caller).inbox };
    inbox = id && (await prisma.inbox.findFirst({ where, include: { agent: true } }));
    if (!inbox) throw new NotFoundError(['inboxId']);
  }
  const inboxId = inbox?.id ?? null;
  if (input.agentId != null) {
    const id = decodeId('Agent', input.agentId);
    const agent = id && (await agentOf(pool, organizationId, id));
    if (!agent) throw new NotFoundError(['agentId']);
    return { agent, inboxId };
  }
  const agent = inbox?.agent ?? (await agentOf(pool, organizationId, null));
  if (!agent) throw new NotFoundError(['agentId']);
  return { agent, inboxId };
}

/** What a new conversation takes from its agent. */
type FoundAgent = Pick<Agent, 'id' | 'runtime' | 'defaultRuntimeParameters'>;

/** An agent of an organization; with null, its default agent. */
async function agentOf(db: Queryable, organizationId: string, id: string | null): Promise<FoundAgent | null> {
  const { rows } = await db.query<FoundAgent>({
    name: 'read-agent',
    text: `SELECT id, runtime, default_runtime_parameters AS "defaultRuntimeParameters" FROM agent
      WHERE organization_id = $1 AND id = coalesce($2, (SELECT default_agent_id FROM organization WHERE id = $1))`,
    values: [organizationId, id],
  });
  return rows[0] ?? null;
}

/** An ended conversation stays ended, so reading it before the write is safe. */
async function findContinued(
  services: ConversationServices,
  caller: Caller,
  reader: InputReader,
  id: string | null | undefined,
) {
  if (id == null) return null;
  const uuid = decodeId('Conversation', id);
  const conversation = uuid && (await theOne(finders.Conversation({ services, viewer: caller }, [uuid])));
  if (!conversation) throw new NotFoundError(['continues']);
  if (conversation.status !== 'ENDED') reader.refuse(['continues'], 'Has not ended. Send to it instead.');
  return conversation;
}

async function findCorpus(services: ConversationServices, caller: Caller, id: string | null | undefined) {
  if (id == null) return null;
  const uuid = decodeId('Corpus', id);
  const { organizationId } = caller;
  const corpus = uuid && (await services.prisma.corpus.findFirst({ where: { id: uuid, organizationId } }));
  if (!corpus) throw new NotFoundError(['corpusId']);
  return corpus.id;
}
