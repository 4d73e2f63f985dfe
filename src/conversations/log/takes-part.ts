/** SQL for whether the person whose a conversation is, if anybody's, is not being erased. On the row that the statement locks. */
export const isKept = /* sql */ `NOT EXISTS (
  SELECT FROM contact leaving WHERE leaving.id = contact_id AND leaving.erasing_since IS NOT NULL)`;

/**
 * SQL for whether a client token takes part in a conversation, on the row that the statement locks. A person may be merged into
 * another or blocked after the token was checked. `participant` is a parameter: a `Participant` as JSON, or null for operators.
 */
export const takesPart = (participant: string) => /* sql */ `(${participant}::jsonb IS NULL
  OR contact_id IS NOT DISTINCT FROM (${participant}::jsonb->>'contactId')::uuid
    AND (contact_id IS NULL OR EXISTS (SELECT FROM contact p WHERE p.id = contact_id
      AND p.token_generation = (${participant}::jsonb->>'tokenGeneration')::int)))`;
