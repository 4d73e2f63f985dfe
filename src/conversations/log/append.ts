import type { Author } from '../../access/caller.ts';
import type { Queryable } from '../../db.ts';
import type { JsonObject } from '../../json.ts';
import type { IdempotencyKey, NewMessage, NewReply, StatePatch } from '../model.ts';
import type { Rule } from './transitions.ts';

/** What happens to the conversation itself, beside its messages and state. */
export type Lifecycle =
  | { type: 'ConversationCreated' }
  | {
      type: 'HandoffStarted';
      handoffId: string;
      reason: string | null;
      queue: string | null;
      assignee: string | null;
      metadata: JsonObject;
    }
  | { type: 'HandoffAccepted'; assignee: string }
  | { type: 'HandoffEnded' }
  | { type: 'ConversationEnded'; reason: string | null }
  | { type: 'ConversationUpdated'; title?: string | null; metadata?: JsonObject; runtimeParameters?: JsonObject };

/** One change of one conversation. */
export interface Change {
  conversationId: string;
  organizationId: string;
  rule: Rule;
  actor: Author;
  /** The owner of the reply; null for a change that begins none. */
  serverId: string | null;
  expectedVersion?: number | null | undefined;
  idempotency?: IdempotencyKey | null | undefined;
  message?: NewMessage | null;
  state?: StatePatch | null | undefined;
  lifecycle?: Lifecycle | null;
  /** Generated only while the conversation is ACTIVE. */
  reply?: NewReply | null;
}

/** `SETTLE`: the rule wants the running reply stopped first. `UNCHANGED`: nothing to do, which is a success. */
export type Outcome =
  | 'OK'
  | 'UNCHANGED'
  | 'SETTLE'
  | 'NOT_FOUND'
  | 'REPLAY'
  | 'MISMATCH'
  | 'ENDED'
  | 'BUSY'
  | 'VERSION'
  | 'HANDED_OFF'
  | 'NOT_HANDED_OFF';

export interface Appended {
  outcome: Outcome;
  /** After the change, or as it is. For `REPLAY`, after the change that is replayed. */
  version: number;
  /** The reply running now. */
  runningReplyId: string | null;
  /** The version of its MessageCreated. */
  runningReplyVersion: number | null;
  /** The handoff in force, or the one that this change ended. */
  handoffId: string | null;
  conversationId: string;
  /** For `REPLAY`, what the first success made; otherwise what this change made. */
  messageId: string | null;
  replyId: string | null;
}

/**
 * Locks the conversation, decides from the locked row, and writes the change with its events: one statement, one round trip.
 * A snapshot taken before the lock would tell losers a wrong reason, so every condition reads the locked row, and whatever
 * else a command must check takes the lock first, in a transaction.
 */
export async function append(db: Queryable, change: Change): Promise<Appended> {
  const { message, reply, idempotency } = change;
  const { rows } = await db.query<Appended>({
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
      change.lifecycle ? JSON.stringify(change.lifecycle) : null,
    ],
  });
  const row = rows[0];
  if (!row) throw new Error('append returned no row');
  return row;
}

function withUnits(fragment: NewMessage['fragments'][number]) {
  return fragment.kind === 'TEXT' ? { ...fragment, units: fragment.text.length } : fragment;
}

const stateOf = (row: string) =>
  `jsonb_build_object('playbook', ${row}.playbook, 'phase', ${row}.phase, 'systemMessage', ${row}.system_message, 'context', ${row}.context)`;

const appendSql = /* sql */ `
WITH input AS (
  SELECT $11::jsonb AS actor, $12::jsonb AS message, $14::jsonb AS reply, $16::jsonb AS state, $17::jsonb AS lifecycle,
    $17::jsonb->>'type' AS lifecycle_type
), done AS (
  SELECT * FROM idempotency WHERE organization_id = $2::uuid AND caller = $3::text AND key = $4::text
), locked AS (
  SELECT * FROM conversation
  WHERE id = $1::uuid AND organization_id = $2::uuid AND NOT EXISTS (SELECT FROM done)
  FOR NO KEY UPDATE
), decided AS (
  SELECT locked.*,
    CASE
      WHEN status = 'ENDED' AND $7::text <> 'OK' THEN $7::text
      WHEN generating_message_id IS NOT NULL AND $8::text <> 'OK' THEN $8::text
      WHEN version <> $6::int THEN 'VERSION'
      WHEN status = 'HANDED_OFF' AND $9::text <> 'OK' THEN $9::text
      WHEN status = 'ACTIVE' AND $10::text <> 'OK' THEN $10::text
      ELSE 'OK'
    END AS outcome,
    (reply IS NOT NULL AND status = 'ACTIVE')::int AS generates,
    (message IS NOT NULL)::int AS says,
    (coalesce(lifecycle_type, 'HandoffEnded') <> 'HandoffEnded')::int AS lives,
    (handoff_id IS NOT NULL AND coalesce(lifecycle_type, '') IN ('HandoffEnded', 'ConversationEnded'))::int AS ends_handoff,
    ${stateOf('locked')} AS state_before,
    ${stateOf('locked')} || coalesce(state, '{}') AS state_after
  FROM locked, input
), planned AS (
  SELECT *, (state_after <> state_before)::int AS steers,
    says + (state_after <> state_before)::int + ends_handoff + lives + generates AS events
  FROM decided
), changed AS (
  UPDATE conversation c SET
    version = c.version + p.events,
    next_position = c.next_position + p.says + p.generates,
    message_count = c.message_count + (p.says = 1 AND message->>'role' <> 'CONTROL')::int + p.generates,
    last_message_id = CASE
      WHEN p.generates = 1 THEN (reply->>'id')::uuid
      WHEN message->>'role' <> 'CONTROL' THEN (message->>'id')::uuid
      ELSE c.last_message_id END,
    generating_message_id = CASE WHEN p.generates = 1 THEN (reply->>'id')::uuid ELSE c.generating_message_id END,
    generating_server_id = CASE WHEN p.generates = 1 THEN $15::uuid ELSE c.generating_server_id END,
    generating_version = CASE WHEN p.generates = 1 THEN c.version + p.events ELSE c.generating_version END,
    playbook = p.state_after->>'playbook',
    phase = p.state_after->>'phase',
    system_message = p.state_after->>'systemMessage',
    context = nullif(p.state_after->'context', 'null'),
    status = CASE lifecycle_type
      WHEN 'HandoffStarted' THEN 'HANDED_OFF' WHEN 'HandoffEnded' THEN 'ACTIVE' WHEN 'ConversationEnded' THEN 'ENDED'
      ELSE c.status::text END::"ConversationStatus",
    handoff_id = CASE
      WHEN lifecycle_type = 'HandoffStarted' THEN (lifecycle->>'handoffId')::uuid
      WHEN p.ends_handoff = 1 THEN NULL ELSE c.handoff_id END,
    title = CASE WHEN lifecycle ? 'title' THEN lifecycle->>'title' ELSE c.title END,
    metadata = coalesce(lifecycle->'metadata', c.metadata),
    runtime_parameters = coalesce(lifecycle->'runtimeParameters', c.runtime_parameters),
    updated_at = now(),
    ended_at = CASE WHEN lifecycle_type = 'ConversationEnded' THEN now() ELSE c.ended_at END
  FROM planned p, input
  WHERE c.id = p.id AND p.outcome = 'OK' AND p.events > 0
  RETURNING c.*, p.version AS base_version, p.next_position AS base_position, p.handoff_id AS base_handoff_id,
    p.generates, p.says, p.steers, p.lives, p.ends_handoff, p.state_before, p.state_after
), said AS (
  INSERT INTO message (id, conversation_id, organization_id, position, role, status, created_version, in_reply_to_id,
    metadata, content_payload, query_metadata, canvas, state_after, completed_at, author)
  SELECT (message->>'id')::uuid, c.id, c.organization_id, c.base_position, (message->>'role')::"MessageRole", 'DONE',
    c.base_version + 1, (message->>'inReplyToId')::uuid, coalesce(nullif(message->'metadata', 'null'), '{}'),
    nullif(message->'contentPayload', 'null'), nullif(message->'queryMetadata', 'null'), nullif(message->'canvas', 'null'),
    CASE WHEN c.steers = 1 THEN c.state_after END, now(),
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
), written AS (
  INSERT INTO fragment (message_id, index, kind, status, text, units, name, args, call_index, response, failed, metadata)
  SELECT (message->>'id')::uuid, f.place - 1, (f.value->>'kind')::"FragmentKind", 'DONE', coalesce(f.value->>'text', ''),
    coalesce((f.value->>'units')::int, 0), f.value->>'name', f.value->'args', (f.value->>'callIndex')::int,
    f.value->'response', coalesce((f.value->>'failed')::boolean, false), coalesce(f.value->'metadata', '{}')
  FROM changed c, input, jsonb_array_elements($13::jsonb) WITH ORDINALITY AS f(value, place) WHERE c.says = 1
), begun AS (
  INSERT INTO message (id, conversation_id, organization_id, position, role, status, created_version, in_reply_to_id,
    supersedes_id, author, runtime_parameters)
  SELECT (reply->>'id')::uuid, c.id, c.organization_id, c.base_position + c.says, 'AGENT', 'IN_PROGRESS', c.version,
    (reply->>'inReplyToId')::uuid, (reply->>'supersedesId')::uuid,
    jsonb_build_object('kind', 'AI_AGENT', 'agentId', agent.id, 'displayName', agent.name),
    agent.default_runtime_parameters || c.runtime_parameters || coalesce(reply->'runtimeParameters', '{}')
  FROM changed c, input, agent WHERE c.generates = 1 AND agent.id = c.agent_id
), handed AS (
  INSERT INTO handoff (id, conversation_id, organization_id, started_version, reason, queue, assignee, metadata, accepted_at)
  SELECT c.handoff_id, c.id, c.organization_id, c.version, lifecycle->>'reason', lifecycle->>'queue', lifecycle->>'assignee',
    coalesce(lifecycle->'metadata', '{}'), CASE WHEN lifecycle->>'assignee' IS NOT NULL THEN now() END
  FROM changed c, input WHERE lifecycle_type = 'HandoffStarted'
), accepted AS (
  UPDATE handoff SET assignee = lifecycle->>'assignee', accepted_at = now()
  FROM changed c, input WHERE handoff.id = c.base_handoff_id AND lifecycle_type = 'HandoffAccepted'
), returned AS (
  UPDATE handoff SET ended_at = now() FROM changed c WHERE handoff.id = c.base_handoff_id AND c.ends_handoff = 1
), logged AS (
  INSERT INTO event (conversation_id, version, organization_id, type, message_id, handoff_id, actor, data)
  SELECT c.id, c.base_version + row_number() OVER (ORDER BY e.place), c.organization_id, e.type::"EventType",
    e.message_id, e.handoff_id, actor, e.data
  FROM changed c, input, LATERAL (VALUES
    (1, c.lives = 1 AND lifecycle_type = 'ConversationCreated', lifecycle_type, NULL::uuid, NULL::uuid, c.state_before),
    (2, c.says = 1, 'MessageCreated', (message->>'id')::uuid, NULL, NULL),
    (3, c.steers = 1, 'StateChanged', (message->>'id')::uuid, NULL,
      jsonb_build_object('before', c.state_before, 'after', c.state_after)),
    (4, c.ends_handoff = 1, 'HandoffEnded', NULL, c.base_handoff_id, NULL),
    (5, c.lives = 1 AND lifecycle_type <> 'ConversationCreated', lifecycle_type, NULL,
      CASE lifecycle_type WHEN 'HandoffStarted' THEN c.handoff_id WHEN 'HandoffAccepted' THEN c.base_handoff_id END,
      CASE lifecycle_type WHEN 'ConversationEnded' THEN jsonb_build_object('reason', lifecycle->'reason') END),
    (6, c.generates = 1, 'MessageCreated', (reply->>'id')::uuid, NULL, '{"reply": true}')
  ) AS e(place, happens, type, message_id, handoff_id, data)
  WHERE e.happens
), remembered AS (
  INSERT INTO idempotency (organization_id, caller, key, input_hash, conversation_id, version, message_id, reply_id)
  SELECT c.organization_id, $3, $4, $5, c.id, c.version, (message->>'id')::uuid,
    CASE WHEN c.generates = 1 THEN (reply->>'id')::uuid END
  FROM changed c, input WHERE $4 IS NOT NULL
)
SELECT
  CASE
    WHEN done.key IS NULL THEN coalesce(p.outcome, 'NOT_FOUND')
    WHEN input.lifecycle_type IS DISTINCT FROM 'ConversationCreated'
      AND NOT EXISTS (SELECT FROM conversation WHERE id = $1 AND organization_id = $2) THEN 'NOT_FOUND'
    WHEN done.input_hash = $5 THEN 'REPLAY' ELSE 'MISMATCH' END AS "outcome",
  coalesce(done.version, c.version, p.version, 0) AS "version",
  CASE WHEN c.id IS NULL THEN p.generating_message_id ELSE c.generating_message_id END AS "runningReplyId",
  CASE WHEN c.id IS NULL THEN p.generating_version ELSE c.generating_version END AS "runningReplyVersion",
  CASE WHEN c.id IS NULL THEN p.handoff_id ELSE coalesce(c.handoff_id, c.base_handoff_id) END AS "handoffId",
  coalesce(done.conversation_id, $1) AS "conversationId",
  CASE WHEN done.key IS NULL THEN (input.message->>'id')::uuid ELSE done.message_id END AS "messageId",
  CASE WHEN done.key IS NULL THEN CASE WHEN c.generates = 1 THEN (input.reply->>'id')::uuid END ELSE done.reply_id END AS "replyId"
FROM input LEFT JOIN done ON true LEFT JOIN planned p ON true LEFT JOIN changed c ON true`;
