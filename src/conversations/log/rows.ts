import type { Conversation, Handoff, Message } from '../../generated/prisma/client.ts';
import type { Queryable } from '../../db.ts';
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

/** A row in JSON form, in which times are strings. */
export type AsJson<Row> = {
  [K in keyof Row]: Row[K] extends Date ? string : Row[K] extends Date | null ? string | null : Row[K];
};

/** A message as returned by a statement. */
export type MessageAsJson = AsJson<Message> & Pick<MessageRow, 'isCut'> & { fragments?: FragmentRow[] | null };

/** `Rows` as returned by a statement. */
export interface RowsAsJson {
  conversation: AsJson<Conversation>;
  message: MessageAsJson | null;
  reply: MessageAsJson | null;
  handoff: AsJson<Handoff> | null;
}

/** The column of each field. */
type Columns<Row> = Record<keyof Row, string>;

const conversationColumns: Columns<Conversation> = {
  id: 'id',
  organizationId: 'organization_id',
  agentId: 'agent_id',
  contactId: 'contact_id',
  inboxId: 'inbox_id',
  version: 'version',
  status: 'status',
  title: 'title',
  playbook: 'playbook',
  phase: 'phase',
  systemMessage: 'system_message',
  context: 'context',
  systemPrompt: 'system_prompt',
  corpusId: 'corpus_id',
  runtimeParameters: 'runtime_parameters',
  metadata: 'metadata',
  searchMetadata: 'search_metadata',
  nextPosition: 'next_position',
  messageCount: 'message_count',
  lastMessageId: 'last_message_id',
  runningReplyId: 'generating_message_id',
  runningServerId: 'generating_server_id',
  runningReplyVersion: 'generating_version',
  handoffId: 'handoff_id',
  labels: 'labels',
  continuesId: 'continues_id',
  createdAt: 'created_at',
  updatedAt: 'updated_at',
  endedAt: 'ended_at',
};

const messageColumns: Columns<Message> = {
  id: 'id',
  conversationId: 'conversation_id',
  organizationId: 'organization_id',
  position: 'position',
  role: 'role',
  author: 'author',
  status: 'status',
  createdVersion: 'created_version',
  inReplyToId: 'in_reply_to_id',
  supersedesId: 'supersedes_id',
  errorDetail: 'error_detail',
  metadata: 'metadata',
  contentPayload: 'content_payload',
  queryMetadata: 'query_metadata',
  canvas: 'canvas',
  stateAfter: 'state_after',
  runtimeParameters: 'runtime_parameters',
  inputTokens: 'input_tokens',
  outputTokens: 'output_tokens',
  clientId: 'client_id',
  clientIdOf: 'client_id_of',
  createdAt: 'created_at',
  completedAt: 'completed_at',
  erasedAt: 'erased_at',
};

const handoffColumns: Columns<Handoff> = {
  id: 'id',
  conversationId: 'conversation_id',
  organizationId: 'organization_id',
  startedVersion: 'started_version',
  reason: 'reason',
  queue: 'queue',
  assignee: 'assignee',
  operatorId: 'operator_id',
  metadata: 'metadata',
  startedAt: 'started_at',
  acceptedAt: 'accepted_at',
  endedAt: 'ended_at',
};

const fragmentColumns: Columns<FragmentRow> = {
  messageId: 'message_id',
  index: 'index',
  kind: 'kind',
  status: 'status',
  text: 'text',
  name: 'name',
  args: 'args',
  callIndex: 'call_index',
  response: 'response',
  failed: 'failed',
  metadata: 'metadata',
  visibility: 'visibility',
};

function jsonOf(columns: Record<string, string>, row: string, values: Record<string, string> = {}): string {
  const fields = Object.entries(columns).map(([field, column]) => [field, `${row}.${column}`] as const);
  const all = new Map([...fields, ...Object.entries(values)]);
  return `json_build_object(${[...all].map(([field, value]) => `'${field}', ${value}`).join(', ')})`;
}

/** SQL for a conversation as JSON. `row` is the name of a row in scope. */
export const conversationJson = (row: string) => jsonOf(conversationColumns, row);

/** SQL for a message as JSON. `values` is SQL for what it holds beside its columns, or in place of them. */
export const messageJson = (row: string, values: Record<string, string>) => jsonOf(messageColumns, row, values);

export const handoffJson = (row: string) => jsonOf(handoffColumns, row);

/** SQL for a fragment as JSON. `text` is SQL for its text, if its own row does not hold all of it. */
export const fragmentJson = (row: string, text = `${row}.text`) => jsonOf(fragmentColumns, row, { text });

/** SQL for the column of a message that a field is stored in. */
export const messageColumn = (row: string, field: keyof Message) => `${row}.${messageColumns[field]}`;

/** SQL for how many bytes a value takes as text. */
export const bytesOf = (column: string) => `coalesce(octet_length(${column}::text), 0)`;

/** SQL for how many bytes the fragments of a message hold, with all their text so far. */
export const fragmentBytes = (message: string) => {
  const parts = ['text', 'metadata', 'args', 'response'].map((column) => bytesOf(`f.${column}`));
  return `coalesce((SELECT sum(${parts.join(' + ')}) FROM fragment f WHERE f.message_id = ${message}.id), 0)
    + CASE WHEN ${message}.status = 'IN_PROGRESS'
      THEN coalesce((SELECT sum(octet_length(k.reversed)) FROM chunk k WHERE k.message_id = ${message}.id), 0) ELSE 0 END`;
};

/**
 * SQL for the fragments of a message with all their text so far. An ended message has no chunks. In one statement, so that a
 * reply that ends meanwhile has its text either in chunks or in the fragment.
 */
export const fragmentsJson = (message: string) => {
  const chunks = `coalesce((SELECT string_agg(reverse(k.reversed), '' ORDER BY k."offset") FROM chunk k
    WHERE ${message}.status = 'IN_PROGRESS' AND k.message_id = f.message_id AND k.fragment_index = f.index), '')`;
  return `(SELECT coalesce(json_agg(${fragmentJson('f', `f.text || ${chunks}`)} ORDER BY f.index), '[]')
    FROM fragment f WHERE f.message_id = ${message}.id)`;
};

export function rowsOf({ conversation, message, reply, handoff }: RowsAsJson): Rows {
  return {
    conversation: conversationOf(conversation),
    message: message && messageOf(message),
    reply: reply && messageOf(reply),
    handoff: handoff && {
      ...handoff,
      startedAt: new Date(handoff.startedAt),
      acceptedAt: time(handoff.acceptedAt),
      endedAt: time(handoff.endedAt),
    },
  };
}

/** Written out, like `messageOf`: copying an object of unknown shape takes several times as long. */
export function conversationOf(row: AsJson<Conversation>): Conversation {
  return {
    id: row.id,
    organizationId: row.organizationId,
    agentId: row.agentId,
    contactId: row.contactId,
    inboxId: row.inboxId,
    version: row.version,
    status: row.status,
    title: row.title,
    playbook: row.playbook,
    phase: row.phase,
    systemMessage: row.systemMessage,
    context: row.context,
    systemPrompt: row.systemPrompt,
    corpusId: row.corpusId,
    runtimeParameters: row.runtimeParameters,
    metadata: row.metadata,
    searchMetadata: row.searchMetadata,
    nextPosition: row.nextPosition,
    messageCount: row.messageCount,
    lastMessageId: row.lastMessageId,
    runningReplyId: row.runningReplyId,
    runningServerId: row.runningServerId,
    runningReplyVersion: row.runningReplyVersion,
    handoffId: row.handoffId,
    labels: row.labels,
    continuesId: row.continuesId,
    createdAt: new Date(row.createdAt),
    updatedAt: new Date(row.updatedAt),
    endedAt: time(row.endedAt),
  };
}

export function messageOf(row: MessageAsJson): MessageRow {
  const message: MessageRow = {
    id: row.id,
    conversationId: row.conversationId,
    organizationId: row.organizationId,
    position: row.position,
    role: row.role,
    author: row.author,
    status: row.status,
    createdVersion: row.createdVersion,
    inReplyToId: row.inReplyToId,
    supersedesId: row.supersedesId,
    errorDetail: row.errorDetail,
    metadata: row.metadata,
    contentPayload: row.contentPayload,
    queryMetadata: row.queryMetadata,
    canvas: row.canvas,
    stateAfter: row.stateAfter,
    runtimeParameters: row.runtimeParameters,
    inputTokens: row.inputTokens,
    outputTokens: row.outputTokens,
    clientId: row.clientId,
    clientIdOf: row.clientIdOf,
    createdAt: new Date(row.createdAt),
    completedAt: time(row.completedAt),
    erasedAt: time(row.erasedAt),
  };
  if (row.isCut !== undefined) message.isCut = row.isCut;
  if (row.fragments) message.fragments = row.fragments;
  return message;
}

function time(text: string | null): Date | null {
  return text === null ? null : new Date(text);
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
