// For the places that a new type of event touches see the head of `append.ts`.
import type { Author } from '../../access/caller.ts';
import type { Queryable } from '../../db.ts';
import type { EventType } from '../../generated/prisma/enums.ts';
import type { JsonObject } from '../../json.ts';

/** An event of a conversation whose row is locked. */
export interface NewEvent {
  type: EventType;
  messageId?: string;
  handoffId?: string;
  data?: JsonObject;
}

/** Increases a conversation's version by one for each event, and logs the events in this order. The caller has locked the row. */
export async function logEvents(
  db: Queryable,
  { conversationId, actor }: { conversationId: string; actor: Author },
  events: readonly NewEvent[],
): Promise<void> {
  await db.query({
    name: 'log-events',
    text: `WITH raised AS (
        UPDATE conversation SET version = version + jsonb_array_length($3::jsonb), updated_at = now() WHERE id = $1
        RETURNING id, organization_id, version - jsonb_array_length($3::jsonb) AS before
      )
      INSERT INTO event (conversation_id, version, organization_id, type, message_id, handoff_id, actor, data)
      SELECT id, before + e.place, organization_id, (e.value->>'type')::"EventType",
        (e.value->>'messageId')::uuid, (e.value->>'handoffId')::uuid,
        $2::jsonb, e.value->'data'
      FROM raised, jsonb_array_elements($3::jsonb) WITH ORDINALITY AS e(value, place)`,
    values: [conversationId, JSON.stringify(actor), JSON.stringify(events)],
  });
}
