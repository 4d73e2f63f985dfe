import type { Conversation, Handoff, Message } from '../../generated/prisma/client.ts';
import type { FragmentRow } from './read.ts';

/** The fields of a row, each with its column, in the order in which a statement returns their values. Times are marked. */
type Columns<Row> = readonly (readonly [field: keyof Row, column: string, kind?: 'TIME'])[];

/** The values of a row as a statement returns them in JSON, in which times are in milliseconds: text takes longer to read. */
type ValuesOf<C extends Columns<Row>, Row> = {
  [I in keyof C]: C[I] extends readonly [infer Field extends keyof Row, string, ...('TIME' | undefined)[]]
    ? AsJson<Row[Field]>
    : never;
};

type AsJson<Value> = Value extends Date ? number : Value;

const conversationColumns = [
  ['id', 'id'],
  ['organizationId', 'organization_id'],
  ['agentId', 'agent_id'],
  ['contactId', 'contact_id'],
  ['inboxId', 'inbox_id'],
  ['version', 'version'],
  ['status', 'status'],
  ['title', 'title'],
  ['playbook', 'playbook'],
  ['phase', 'phase'],
  ['systemMessage', 'system_message'],
  ['context', 'context'],
  ['systemPrompt', 'system_prompt'],
  ['corpusId', 'corpus_id'],
  ['runtimeParameters', 'runtime_parameters'],
  ['metadata', 'metadata'],
  ['searchMetadata', 'search_metadata'],
  ['nextPosition', 'next_position'],
  ['messageCount', 'message_count'],
  ['lastMessageId', 'last_message_id'],
  ['runningReplyId', 'generating_message_id'],
  ['runningServerId', 'generating_server_id'],
  ['runningReplyVersion', 'generating_version'],
  ['handoffId', 'handoff_id'],
  ['labels', 'labels'],
  ['continuesId', 'continues_id'],
  ['createdAt', 'created_at', 'TIME'],
  ['updatedAt', 'updated_at', 'TIME'],
  ['endedAt', 'ended_at', 'TIME'],
] as const satisfies Columns<Conversation>;

const messageColumns = [
  ['id', 'id'],
  ['conversationId', 'conversation_id'],
  ['organizationId', 'organization_id'],
  ['position', 'position'],
  ['role', 'role'],
  ['author', 'author'],
  ['status', 'status'],
  ['createdVersion', 'created_version'],
  ['inReplyToId', 'in_reply_to_id'],
  ['supersedesId', 'supersedes_id'],
  ['errorDetail', 'error_detail'],
  ['metadata', 'metadata'],
  ['contentPayload', 'content_payload'],
  ['queryMetadata', 'query_metadata'],
  ['canvas', 'canvas'],
  ['stateAfter', 'state_after'],
  ['runtimeParameters', 'runtime_parameters'],
  ['inputTokens', 'input_tokens'],
  ['outputTokens', 'output_tokens'],
  ['clientId', 'client_id'],
  ['clientIdOf', 'client_id_of'],
  ['createdAt', 'created_at', 'TIME'],
  ['completedAt', 'completed_at', 'TIME'],
  ['erasedAt', 'erased_at', 'TIME'],
] as const satisfies Columns<Message>;

const handoffColumns = [
  ['id', 'id'],
  ['conversationId', 'conversation_id'],
  ['organizationId', 'organization_id'],
  ['startedVersion', 'started_version'],
  ['reason', 'reason'],
  ['queue', 'queue'],
  ['assignee', 'assignee'],
  ['operatorId', 'operator_id'],
  ['metadata', 'metadata'],
  ['startedAt', 'started_at', 'TIME'],
  ['acceptedAt', 'accepted_at', 'TIME'],
  ['endedAt', 'ended_at', 'TIME'],
] as const satisfies Columns<Handoff>;

/** Without the message, which holds it. */
const fragmentColumns = [
  ['index', 'index'],
  ['kind', 'kind'],
  ['status', 'status'],
  ['text', 'text'],
  ['name', 'name'],
  ['args', 'args'],
  ['callIndex', 'call_index'],
  ['response', 'response'],
  ['failed', 'failed'],
  ['metadata', 'metadata'],
  ['visibility', 'visibility'],
] as const satisfies Columns<FragmentRow>;

export type ConversationValues = ValuesOf<typeof conversationColumns, Conversation>;
export type FragmentValues = ValuesOf<typeof fragmentColumns, FragmentRow>;
export type HandoffValues = ValuesOf<typeof handoffColumns, Handoff>;

/** Ends with the fragments, if they were read too, and with whether the page held too much for what may be large. */
export type MessageValues = readonly [
  ...ValuesOf<typeof messageColumns, Message>,
  fragments: readonly FragmentValues[] | null,
  isCut: boolean,
];

/** SQL for the values of a row as JSON: an array, which has about half the bytes of an object with their names. */
function valuesJson<Row>(
  columns: Columns<Row>,
  row: string,
  instead: Partial<Record<keyof Row, string>> = {},
  more: readonly string[] = [],
): string {
  const values = columns.map(([field, column, kind]) => {
    const value = instead[field] ?? `${row}.${column}`;
    return kind === 'TIME' ? `floor(extract(epoch FROM ${value}) * 1000)::bigint` : value;
  });
  return `json_build_array(${[...values, ...more].join(', ')})`;
}

/** SQL for a conversation as JSON. `row` is the name of a row in scope. */
export const conversationJson = (row: string) => valuesJson<Conversation>(conversationColumns, row);

/** What is read with a message, in SQL. */
interface WithMessage {
  fragments?: string;
  isCut?: string;
  /** In place of columns. */
  instead?: Partial<Record<keyof Message, string>>;
}

/** SQL for a message as JSON. */
export const messageJson = (row: string, { fragments = 'NULL', isCut = 'false', instead }: WithMessage) =>
  valuesJson<Message>(messageColumns, row, instead, [fragments, isCut]);

export const handoffJson = (row: string) => valuesJson<Handoff>(handoffColumns, row);

/** SQL for a fragment as JSON. `text` is SQL for its text, if its own row does not hold all of it. */
export const fragmentJson = (row: string, text = `${row}.text`) =>
  valuesJson<FragmentRow>(fragmentColumns, row, { text });

/** SQL for the column of a message that a field is stored in. */
export const messageColumn = (row: string, field: (typeof messageColumns)[number][0]) =>
  `${row}.${messageColumns.find(([name]) => name === field)?.[1]}`;

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
