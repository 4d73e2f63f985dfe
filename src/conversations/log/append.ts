/**
 * The statement that writes a message, a reply, a change of state, or the start of a conversation or a handoff.
 *
 * It is one statement because the alternatives are slower. Compared with pgbench running this statement alone, one
 * statement from Node reaches 0.86 of its rate, five round trips 0.38, an interactive transaction of the ORM 0.08. It also
 * decides from the row that it has locked. A reason looked up after a failed conditional write is wrong for 11 to
 * 44 % of those who lose a race, since it is read from an older snapshot or a newer row. A change that must read more than the
 * conversation's row before it writes takes the lock first, in a transaction: see `commit.ts`.
 *
 * A new type of event touches: the enum `EventType` in `prisma/schema.prisma` with a migration; the code that writes it, here
 * (`writeEvents`) or through `log-events.ts`; its fields, in `schema/event-rows.ts` and `schema/events.ts`; who may see it,
 * in `access/`; for a live list, `moving` in `lists/live-list.ts`; for frontends, `client/`; `schema.graphql` and the documents.
 */
import type { Author, Participant } from '../../access/caller.ts';
import type { AttachmentFault } from '../../attachments/name-in-message.ts';
import { endUserRoles } from '../../access/visibility.ts';
import type { Queryable } from '../../db.ts';
import type { JsonObject } from '../../json.ts';
import type { IdempotencyKey, NewMessage, NewReply, StatePatch } from '../model.ts';
import { conversationJson, fragmentJson, handoffJson, messageJson } from './columns.ts';
import { findAttachments, nameAttachments } from './name-attachments.ts';
import { type Rows, type RowsAsJson, rowsOf } from './rows.ts';
import { isKept, takesPart } from './takes-part.ts';
import type { Outcome, Rule } from './transitions.ts';

/** What starts with the change, besides its message and its reply. */
export type Beginning =
  | { type: 'ConversationCreated' }
  | {
      type: 'HandoffStarted';
      handoffId: string;
      reason: string | null;
      queue: string | null;
      assignee: string | null;
      /** The operator who has it from its start. Then `assignee` is their name. */
      operatorId?: string;
      metadata: JsonObject;
    };

/** What is changed, by whom, and on which condition. */
export interface Target {
  conversationId: string;
  organizationId: string;
  rule: Rule;
  actor: Author;
  /** Whose the conversation must be. Null for operators and servers. */
  participant: Participant | null;
  expectedVersion?: number | null | undefined;
}

/** One change of one conversation. */
export interface Change extends Target {
  /** The server that owns the reply. Null for a change that starts no reply. */
  serverId: string | null;
  idempotency?: IdempotencyKey | null | undefined;
  message?: NewMessage | null;
  state?: StatePatch | null | undefined;
  beginning?: Beginning | null;
  /** Starts only while the conversation is ACTIVE. */
  reply?: NewReply | null;
}

/** The result of the statement. Only `OK` has written anything. */
export type Appended =
  | { outcome: 'OK'; rows: Rows }
  /** The result of the first success with the same idempotency key. */
  | { outcome: 'REPLAY'; conversationId: string; version: number; messageId: string | null; replyId: string | null }
  | Refusal;

/** Why nothing was written. */
export interface Refusal {
  outcome: Exclude<Outcome, 'OK' | 'UNCHANGED'> | 'MISMATCH' | 'BLOCKED' | 'ATTACHMENT' | 'AUTHOR_GONE';
  version: number;
  runningReplyId: string | null;
  handoffId: string | null;
  /** For BLOCKED: the person. */
  contactId: string | null;
  /** For ATTACHMENT: which one, and why. */
  attachmentFault: AttachmentFault | null;
}

/** Locks the conversation, decides from the locked row, and writes the change with its events, in one round trip. */
export async function append(db: Queryable, change: Change): Promise<Appended> {
  const { message, reply, idempotency } = change;
  const { rows } = await db.query<Exclude<Appended, { outcome: 'OK' }> | ({ outcome: 'OK' } & RowsAsJson)>({
    name: 'append',
    text: appendSql,
    values: [
      change.conversationId,
      change.organizationId,
      idempotency?.caller ?? null,
      idempotency?.key ?? null,
      idempotency?.inputHash ?? null,
      change.expectedVersion ?? null,
      change.rule.ended,
      change.rule.running,
      change.rule.handedOff,
      change.rule.active,
      JSON.stringify(change.actor),
      message ? JSON.stringify({ ...message, fragments: undefined }) : null,
      message ? JSON.stringify(message.fragments.map(withUnits)) : null,
      reply ? JSON.stringify(reply) : null,
      change.serverId,
      change.state ? JSON.stringify(change.state) : null,
      change.beginning ? JSON.stringify(change.beginning) : null,
      change.participant && JSON.stringify(change.participant),
    ],
  });
  const row = rows[0];
  if (!row) throw new Error('append returned no row');
  return row.outcome === 'OK' ? { outcome: 'OK', rows: rowsOf(row) } : row;
}

function withUnits(fragment: NewMessage['fragments'][number]) {
  return fragment.kind === 'TEXT' ? { ...fragment, units: fragment.text.length } : fragment;
}

const stateOf = (row: string) =>
  `jsonb_build_object('playbook', ${row}.playbook, 'phase', ${row}.phase, 'systemMessage', ${row}.system_message, 'context', ${row}.context)`;

/** The roles of messages that end users see, and that `messageCount` counts. */
const shown = endUserRoles.map((role) => `'${role}'`).join(', ');

/** Locks the row unless the key was used before. Applies the rule to it and determines what will be written. */
const lockAndDecide = /* sql */ `
input AS (
  SELECT $11::jsonb AS actor, $12::jsonb AS message, $14::jsonb AS reply, $16::jsonb AS state, $17::jsonb AS beginning,
    $17::jsonb->>'type' AS begins
), done AS (
  SELECT * FROM idempotency WHERE organization_id = $2::uuid AND caller = $3::text AND key = $4::text
), guest AS (
  -- Somebody may write in the conversation of others. Whoever is to be erased or merged is locked first: this waits, and sees it.
  SELECT contact.id FROM contact
  WHERE contact.id = ($12::jsonb->'author'->>'contactId')::uuid AND contact.organization_id = $2::uuid
    AND contact.erasing_since IS NULL
  FOR KEY SHARE
), locked AS (
  -- The count has people locked before conversations, as everywhere.
  SELECT * FROM conversation
  WHERE id = $1::uuid AND organization_id = $2::uuid AND ${takesPart('$18')} AND ${isKept} AND NOT EXISTS (SELECT FROM done)
    AND (SELECT count(*) FROM guest) >= 0
  FOR NO KEY UPDATE
), ${findAttachments('$2')}, decided AS (
  SELECT locked.*, blocked.id AS blocked_id,
    CASE
      WHEN status = 'ENDED' AND $7::text <> 'OK' THEN $7::text
      WHEN generating_message_id IS NOT NULL AND $8::text <> 'OK' THEN $8::text
      WHEN version <> $6::int THEN 'VERSION'
      WHEN status = 'HANDED_OFF' AND $9::text <> 'OK' THEN $9::text
      WHEN status = 'ACTIVE' AND $10::text <> 'OK' THEN $10::text
      WHEN blocked.id IS NOT NULL THEN 'BLOCKED'
      WHEN EXISTS (SELECT FROM unfree) THEN 'ATTACHMENT'
      WHEN ($12::jsonb->'author'->>'contactId')::uuid IS DISTINCT FROM locked.contact_id
        AND $12::jsonb->'author'->>'contactId' IS NOT NULL AND NOT EXISTS (SELECT FROM guest) THEN 'AUTHOR_GONE'
      ELSE 'OK'
    END AS outcome,
    (reply IS NOT NULL AND status = 'ACTIVE')::int AS generates,
    (message IS NOT NULL)::int AS says,
    (begins IS NOT NULL)::int AS starts,
    ${stateOf('locked')} AS state_before,
    ${stateOf('locked')} || coalesce(state, '{}') AS state_after
  FROM input, locked LEFT JOIN contact blocked ON blocked.blocked_at IS NOT NULL AND $12::jsonb->>'role' = 'USER'
    AND blocked.id = coalesce(($12::jsonb->'author'->>'contactId')::uuid, locked.contact_id)
), planned AS (
  SELECT *, (state_after <> state_before)::int AS steers, says + (state_after <> state_before)::int + starts + generates AS events
  FROM decided
)`;

/** Increases the version by the number of events, claims the conversation for the reply, and changes state and status. */
const writeConversation = /* sql */ `
changed AS (
  UPDATE conversation c SET
    version = c.version + p.events,
    next_position = c.next_position + p.says + p.generates,
    message_count = c.message_count + (p.says = 1 AND message->>'role' IN (${shown}))::int + p.generates,
    last_message_id = CASE
      WHEN p.generates = 1 THEN (reply->>'id')::uuid
      WHEN message->>'role' IN (${shown}) THEN (message->>'id')::uuid
      ELSE c.last_message_id END,
    generating_message_id = CASE WHEN p.generates = 1 THEN (reply->>'id')::uuid ELSE c.generating_message_id END,
    generating_server_id = CASE WHEN p.generates = 1 THEN $15::uuid ELSE c.generating_server_id END,
    generating_version = CASE WHEN p.generates = 1 THEN c.version + p.events ELSE c.generating_version END,
    playbook = p.state_after->>'playbook',
    phase = p.state_after->>'phase',
    system_message = p.state_after->>'systemMessage',
    context = nullif(p.state_after->'context', 'null'),
    -- A greeting of the agent may come before.
    title = CASE WHEN c.title IS NULL AND c.message_count <= 1 THEN message->>'title' ELSE c.title END,
    status = CASE WHEN begins = 'HandoffStarted' THEN 'HANDED_OFF' ELSE c.status END,
    handoff_id = CASE WHEN begins = 'HandoffStarted' THEN (beginning->>'handoffId')::uuid ELSE c.handoff_id END,
    updated_at = now()
  FROM planned p, input
  WHERE c.id = p.id AND p.outcome = 'OK' AND p.events > 0
  RETURNING c.*, p.version AS base_version, p.next_position AS base_position, p.generates, p.says, p.steers, p.starts,
    p.state_before, p.state_after
)`;

/** Writes the message with its fragments. Its author is filled in from the conversation's agent or contact. */
const writeMessage = /* sql */ `
said AS (
  INSERT INTO message (id, conversation_id, organization_id, position, role, status, created_version, in_reply_to_id,
    metadata, content_payload, query_metadata, canvas, state_after, client_id, client_id_of, completed_at, author)
  SELECT (message->>'id')::uuid, c.id, c.organization_id, c.base_position, (message->>'role')::"MessageRole", 'DONE',
    c.base_version + 1, (message->>'inReplyToId')::uuid, coalesce(nullif(message->'metadata', 'null'), '{}'),
    nullif(message->'contentPayload', 'null'), nullif(message->'queryMetadata', 'null'), nullif(message->'canvas', 'null'),
    CASE WHEN c.steers = 1 THEN c.state_after END, message->>'clientId', message->>'clientIdOf', now(),
    CASE
      WHEN message->'author'->>'kind' = 'AI_AGENT' THEN (
        SELECT jsonb_build_object('agentId', agent.id, 'displayName', agent.name) || (message->'author')
        FROM agent WHERE agent.id = c.agent_id)
      WHEN jsonb_typeof(message->'author') = 'object' THEN message->'author'
      ELSE coalesce((
        SELECT jsonb_build_object('kind', 'END_USER', 'contactId', contact.id, 'externalId', contact.external_id,
          'displayName', contact.display_name, 'avatarUrl', contact.avatar_url)
        FROM contact WHERE contact.id = c.contact_id), '{"kind": "END_USER"}')
    END
  FROM changed c, input WHERE c.says = 1
  RETURNING *
), written AS (
  INSERT INTO fragment (message_id, index, kind, status, text, units, name, args, call_index, response, failed, metadata,
    visibility)
  SELECT (message->>'id')::uuid, f.place - 1, (f.value->>'kind')::"FragmentKind", 'DONE', coalesce(f.value->>'text', ''),
    coalesce((f.value->>'units')::int, 0), f.value->>'name', f.value->'args', (f.value->>'callIndex')::int,
    f.value->'response', coalesce((f.value->>'failed')::boolean, false), coalesce(f.value->'metadata', '{}'),
    coalesce(f.value->>'visibility', 'HIDDEN')::"CallVisibility"
  FROM changed c, input, jsonb_array_elements($13::jsonb) WITH ORDINALITY AS f(value, place) WHERE c.says = 1
  RETURNING *
)`;

/** Writes the reply, in progress and empty, with the parameters for generating it. */
const writeReply = /* sql */ `
begun AS (
  INSERT INTO message (id, conversation_id, organization_id, position, role, status, created_version, in_reply_to_id,
    supersedes_id, author, runtime_parameters)
  SELECT (reply->>'id')::uuid, c.id, c.organization_id, c.base_position + c.says, 'AGENT', 'IN_PROGRESS', c.version,
    (reply->>'inReplyToId')::uuid, (reply->>'supersedesId')::uuid,
    jsonb_build_object('kind', 'AI_AGENT', 'agentId', agent.id, 'displayName', agent.name),
    agent.default_runtime_parameters || c.runtime_parameters || coalesce(reply->'runtimeParameters', '{}')
  FROM changed c, input, agent WHERE c.generates = 1 AND agent.id = c.agent_id
  RETURNING *
)`;

/** Writes the handoff. It is already accepted if it names an assignee. */
const writeHandoff = /* sql */ `
handed AS (
  INSERT INTO handoff (id, conversation_id, organization_id, started_version, reason, queue, assignee, operator_id,
    metadata, accepted_at)
  SELECT c.handoff_id, c.id, c.organization_id, c.version, beginning->>'reason', beginning->>'queue', beginning->>'assignee',
    (beginning->>'operatorId')::uuid, coalesce(beginning->'metadata', '{}'), CASE WHEN beginning->>'assignee' IS NOT NULL THEN now() END
  FROM changed c, input WHERE begins = 'HandoffStarted'
  RETURNING *
)`;

/** Writes one event for each version, in the order in which followers receive them. */
const writeEvents = /* sql */ `
logged AS (
  INSERT INTO event (conversation_id, version, organization_id, type, message_id, handoff_id, actor, data)
  SELECT c.id, c.base_version + row_number() OVER (ORDER BY e.place), c.organization_id, e.type::"EventType",
    e.message_id, e.handoff_id, actor, e.data
  FROM changed c, input, LATERAL (VALUES
    (1, begins = 'ConversationCreated', begins, NULL::uuid, NULL::uuid, c.state_before),
    (2, c.says = 1, 'MessageCreated', (message->>'id')::uuid, NULL, NULL),
    (3, c.steers = 1, 'StateChanged', (message->>'id')::uuid, NULL,
      jsonb_build_object('before', c.state_before, 'after', c.state_after)),
    (4, begins = 'HandoffStarted', begins, NULL, c.handoff_id, NULL),
    (5, c.generates = 1, 'MessageCreated', (reply->>'id')::uuid, NULL, '{"reply": true}')
  ) AS e(place, happens, type, message_id, handoff_id, data)
  WHERE e.happens
)`;

/** Stores the answer for repetitions of the idempotency key. If a simultaneous repetition was first, this insert fails, and with it the whole statement. */
const remember = /* sql */ `
remembered AS (
  INSERT INTO idempotency (organization_id, caller, key, input_hash, conversation_id, version, message_id, reply_id)
  SELECT c.organization_id, $3, $4, $5, c.id, c.version, (message->>'id')::uuid,
    CASE WHEN c.generates = 1 THEN (reply->>'id')::uuid END
  FROM changed c, input WHERE $4 IS NOT NULL
)`;

const fragmentsWritten = `(SELECT json_agg(${fragmentJson('written')} ORDER BY written.index) FROM written)`;

const appendSql = /* sql */ `
WITH ${[lockAndDecide, writeConversation, writeMessage, nameAttachments, writeReply, writeHandoff, writeEvents, remember].join(',')}
SELECT
  CASE
    WHEN done.key IS NULL THEN coalesce(p.outcome, 'NOT_FOUND')
    WHEN input.begins IS DISTINCT FROM 'ConversationCreated'
      AND NOT EXISTS (SELECT FROM conversation WHERE id = $1 AND organization_id = $2) THEN 'NOT_FOUND'
    WHEN done.input_hash = $5 THEN 'REPLAY' ELSE 'MISMATCH' END AS "outcome",
  coalesce(done.version, p.version, 0) AS "version",
  p.generating_message_id AS "runningReplyId",
  p.handoff_id AS "handoffId", p.blocked_id AS "contactId",
  (SELECT json_build_object('place', place, 'reason', reason) FROM unfree) AS "attachmentFault",
  done.conversation_id AS "conversationId", done.message_id AS "messageId", done.reply_id AS "replyId",
  CASE WHEN c.id IS NOT NULL THEN ${conversationJson('c')}
    WHEN p.outcome = 'OK' THEN ${conversationJson('p')} END AS "conversation",
  CASE WHEN said.id IS NOT NULL THEN ${messageJson('said', { fragments: fragmentsWritten })} END AS "message",
  CASE WHEN begun.id IS NOT NULL THEN ${messageJson('begun', { fragments: "'[]'::json" })} END AS "reply",
  CASE WHEN handed.id IS NOT NULL THEN ${handoffJson('handed')} END AS "handoff"
FROM input LEFT JOIN done ON true LEFT JOIN planned p ON true LEFT JOIN changed c ON true
  LEFT JOIN said ON true LEFT JOIN begun ON true LEFT JOIN handed ON true`;
