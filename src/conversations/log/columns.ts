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

/** Without its conversation and organization: it is read with the one, which tells the other. */
const messageColumns = [
  ['id', 'id'],
  ['position', 'position'],
  ['role', 'role'],
  ['author', 'author'],
  ['status', 'status'],
  ['createdVersion', 'created_version'],
  ['createdAt', 'created_at', 'TIME'],
  ['completedAt', 'completed_at', 'TIME'],
] as const satisfies Columns<Message>;

const rareMessageColumns = [
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
  ['erasedAt', 'erased_at', 'TIME'],
] as const satisfies Columns<Message>;

/** Metadata that nobody gave. All rows share it. */
const none = Object.freeze({});

/** What the rare columns of most messages hold. */
export const usualMessage: RareMessageValues = [
  null,
  null,
  null,
  none,
  null,
  null,
  null,
  null,
  null,
  null,
  null,
  null,
  null,
  null,
];

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
] as const satisfies Columns<FragmentRow>;

const rareFragmentColumns = [
  ['name', 'name'],
  ['args', 'args'],
  ['callIndex', 'call_index'],
  ['response', 'response'],
  ['failed', 'failed'],
  ['metadata', 'metadata'],
  ['visibility', 'visibility'],
] as const satisfies Columns<FragmentRow>;

/** What the rare columns of most fragments hold. */
export const usualFragment: RareFragmentValues = [null, null, null, null, false, none, 'HIDDEN'];

export type ConversationValues = ValuesOf<typeof conversationColumns, Conversation>;
export type HandoffValues = ValuesOf<typeof handoffColumns, Handoff>;

type RareMessageValues = ValuesOf<typeof rareMessageColumns, Message>;
type RareFragmentValues = ValuesOf<typeof rareFragmentColumns, FragmentRow>;

/** Ends with the rare columns, or null if they hold what they do in most rows: a page of text has three quarters of its bytes. */
export type FragmentValues = readonly [
  ...ValuesOf<typeof fragmentColumns, FragmentRow>,
  rare: RareFragmentValues | null,
];

/** The same, then the fragments, if they were read too, and whether the page held too much for what may be large. */
export type MessageValues = readonly [
  ...ValuesOf<typeof messageColumns, Message>,
  rare: RareMessageValues | null,
  fragments: readonly FragmentValues[] | null,
  isCut: boolean,
];

/** SQL for the values of a row as JSON: an array, which has about half the bytes of an object with their names. */
function valuesJson<Row>(
  columns: Columns<Row>,
  row: string,
  instead: Instead<Row> = {},
  more: readonly string[] = [],
): string {
  const values = columns.map((column) => {
    const value = valueOf(column, row, instead);
    return column[2] === 'TIME' ? `floor(extract(epoch FROM ${value}) * 1000)::bigint` : value;
  });
  return `json_build_array(${[...values, ...more].join(', ')})`;
}

/** SQL for the values of columns as JSON, or for NULL if all of them hold what they usually do. */
function rareJson<Row>(
  columns: Columns<Row>,
  usual: readonly unknown[],
  row: string,
  instead: Instead<Row> = {},
): string {
  const unusual = columns.map((column, index) => {
    const value = valueOf(column, row, instead);
    return usual[index] === null ? value : `nullif(to_jsonb(${value}), '${JSON.stringify(usual[index])}')`;
  });
  return `CASE WHEN num_nonnulls(${unusual.join(', ')}) > 0 THEN ${valuesJson(columns, row, instead)} END`;
}

/** SQL in place of columns. */
type Instead<Row> = Partial<Record<keyof Row, string>>;

const valueOf = <Row>([field, column]: Columns<Row>[number], row: string, instead: Instead<Row>) =>
  instead[field] ?? `${row}.${column}`;

/** SQL for a conversation as JSON. `row` is the name of a row in scope. */
export const conversationJson = (row: string) => valuesJson<Conversation>(conversationColumns, row);

/** What is read with a message, in SQL. */
interface WithMessage {
  fragments?: string;
  isCut?: string;
  instead?: Instead<Message>;
}

/** SQL for a message as JSON. */
export const messageJson = (row: string, { fragments = 'NULL', isCut = 'false', instead }: WithMessage) =>
  valuesJson<Message>(messageColumns, row, instead, [
    rareJson<Message>(rareMessageColumns, usualMessage, row, instead),
    fragments,
    isCut,
  ]);

export const handoffJson = (row: string) => valuesJson<Handoff>(handoffColumns, row);

/** SQL for a fragment as JSON. `text` is SQL for its text, if its own row does not hold all of it. */
export const fragmentJson = (row: string, text = `${row}.text`) =>
  valuesJson<FragmentRow>(fragmentColumns, row, { text }, [
    rareJson<FragmentRow>(rareFragmentColumns, usualFragment, row),
  ]);

/** SQL for the column of a message that a field is stored in. */
export const messageColumn = (row: string, field: (typeof rareMessageColumns)[number][0]) =>
  `${row}.${rareMessageColumns.find(([name]) => name === field)?.[1]}`;

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
