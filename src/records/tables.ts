import { answer, recordFilter } from './list-records.ts';
import type { ExportKind } from './sources.ts';

/** What is exported of a table: its rows in the order of time, each with columns of its own and of others. */
export interface Table {
  /** The name of the table, and what its rows are called in the SQL below. */
  name: 'message' | 'conversation';
  row: 'm' | 'c';
  /** Which of the organization's rows are walked through: most of them must be, since one walk takes only so many. */
  walked: string;
  /** What the filter, the answer and the bytes need besides the row. */
  joins: string;
  /** Which rows are exported, by `$4` to `$8` of `recordFilter`. */
  filter: string;
  /** The id of the answer, and how many bytes of text a row has. */
  answerId: string;
  bytes: string;
  /** SQL of each column, by its name; see `columnName`. The answer is `a`. */
  columns: Record<string, string>;
  /** What only the columns need. */
  columnJoins: string;
}

const textOf = (alias: string) =>
  `(SELECT string_agg(f.text, '' ORDER BY f.index) FROM fragment f WHERE f.message_id = ${alias}.id AND f.kind = 'TEXT')`;
const bytesOf = (messageId: string) =>
  `coalesce((SELECT sum(octet_length(f.text)) FROM fragment f WHERE f.message_id = ${messageId} AND f.kind = 'TEXT'), 0)`;

const conversation = 'JOIN conversation c ON c.id = m.conversation_id';
const names = `JOIN agent ON agent.id = c.agent_id LEFT JOIN inbox ON inbox.id = c.inbox_id LEFT JOIN contact ON contact.id = c.contact_id`;
const conversationFilter = `($4::uuid IS NULL OR c.agent_id = $4) AND ($5::uuid IS NULL OR c.inbox_id = $5)
  AND $6::text IS NULL AND $7::text IS NULL AND $8::"Rating" IS NULL`;

export const tables: Record<Exclude<ExportKind, 'EVENTS'>, Table> = {
  RECORDS: {
    name: 'message',
    row: 'm',
    walked: `m.role = 'USER'`,
    joins: `${conversation} LEFT JOIN LATERAL (SELECT id FROM (${answer}) latest) a ON true`,
    filter: recordFilter,
    answerId: 'a.id',
    bytes: `${bytesOf('m.id')} + ${bytesOf('a.id')}`,
    columns: {
      askedAt: 'm.created_at',
      question: textOf('m'),
      answeredAt: 'a.completed_at',
      answer: textOf('a'),
      answerStatus: 'a.status::text',
      rating: '(SELECT b.rating::text FROM feedback b WHERE b.message_id = a.id)',
      ratingComment: '(SELECT b.comment FROM feedback b WHERE b.message_id = a.id)',
      agent: 'agent.name',
      inbox: 'inbox.name',
      contact: 'contact.display_name',
      Conversation: 'c.id',
      'Message question': 'm.id',
      'Message answer': 'a.id',
    },
    columnJoins: `${conversation} ${names} LEFT JOIN message a ON a.id = chosen.answer_id`,
  },
  CONVERSATIONS: {
    name: 'conversation',
    row: 'c',
    walked: 'true',
    joins: '',
    filter: conversationFilter,
    answerId: 'NULL',
    bytes: '0',
    columns: {
      Conversation: 'c.id',
      title: 'c.title',
      status: 'c.status::text',
      createdAt: 'c.created_at',
      updatedAt: 'c.updated_at',
      endedAt: 'c.ended_at',
      messages: 'c.message_count',
      agent: 'agent.name',
      inbox: 'inbox.name',
      contact: 'contact.display_name',
      contactExternalId: 'contact.external_id',
      labels: `array_to_string(c.labels, ', ')`,
    },
    columnJoins: names,
  },
  MESSAGES: {
    name: 'message',
    row: 'm',
    walked: `m.status <> 'IN_PROGRESS'`,
    joins: conversation,
    filter: conversationFilter,
    answerId: 'NULL',
    bytes: bytesOf('m.id'),
    columns: {
      Message: 'm.id',
      Conversation: 'c.id',
      position: 'm.position',
      role: 'm.role::text',
      author: `m.author->>'displayName'`,
      status: 'm.status::text',
      createdAt: 'm.created_at',
      completedAt: 'm.completed_at',
      text: textOf('m'),
      'Message inReplyTo': 'm.in_reply_to_id',
      error: 'm.error_detail',
      inputTokens: 'm.input_tokens',
      outputTokens: 'm.output_tokens',
    },
    columnJoins: conversation,
  },
};

/** The name of a column in the file: of one with ids, that of its type in small letters or what follows it, and `Id`. */
export function columnName(name: string): string {
  const type = idTypeOf(name);
  if (!type) return name;
  const [, role] = name.split(' ');
  return `${role ?? type.toLowerCase()}Id`;
}

/** Of what the ids are in a column. Null for one without. */
export function idTypeOf(name: string): 'Conversation' | 'Message' | null {
  const [type] = name.split(' ');
  return type === 'Conversation' || type === 'Message' ? type : null;
}
