/**
 * The part of `append` that names attachments in a message. In the statement that writes the message, so that each is named once,
 * by its uploader, and only if the message is.
 */

/**
 * Locks those that may be named, in the order of their ids: whoever names the same in another conversation waits for none of these in
 * turn. `unfree` is the first that may not be. `organization` is SQL for the organization's id.
 */
export const findAttachments = (organization: string) => /* sql */ `
asked AS (
  SELECT a.value::uuid AS id, (a.place - 1)::int AS place
  FROM input, jsonb_array_elements_text(coalesce(message->'attachments'->'ids', '[]')) WITH ORDINALITY AS a(value, place)
), free AS (
  SELECT a.id FROM attachment a
  WHERE a.id IN (SELECT id FROM asked) AND a.organization_id = ${organization}::uuid
    AND a.uploader = (SELECT message->'attachments'->>'uploader' FROM input)
    AND a.status = 'READY' AND a.message_id IS NULL AND a.named_at IS NULL AND a.deleted_at IS NULL AND EXISTS (SELECT FROM locked)
  ORDER BY a.id FOR UPDATE
), unfree AS (
  SELECT asked.place, CASE
      WHEN a.id IS NULL OR a.deleted_at IS NOT NULL THEN 'UNKNOWN' WHEN a.status = 'PENDING' THEN 'PENDING' ELSE 'NAMED' END AS reason
  FROM input, asked LEFT JOIN attachment a ON a.id = asked.id AND a.organization_id = ${organization}::uuid
    AND a.uploader = (SELECT message->'attachments'->>'uploader' FROM input)
  WHERE asked.id NOT IN (SELECT id FROM free) ORDER BY asked.place LIMIT 1
)`;

/** Each belongs to the message from now on. */
export const nameAttachments = /* sql */ `
named AS (
  UPDATE attachment SET message_id = said.id, conversation_id = said.conversation_id, position = said.position, place = asked.place,
    named_at = now()
  FROM said, asked WHERE attachment.id = asked.id
)`;
