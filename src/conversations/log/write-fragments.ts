import type { FragmentRow } from './read.ts';

/** A fragment of a reply as it is stored first, with the length of its text in UTF-16 units. */
export type NewFragment = Omit<FragmentRow, 'messageId'> & { units: number };

/** The value of `writeFragments` for the fragments of one reply. */
export function asNewRows(reply: string, fragments: readonly NewFragment[]): object[] {
  return fragments.map((fragment) => ({ reply, ...fragment }));
}

/**
 * SQL that stores new fragments, from a value with an array of `asNewRows`. Only those of replies that the relation `held` names in
 * its column `reply`; those that are stored already stay as they are.
 */
export const writeFragments = (value: string, held: string): string => /* sql */ `
  INSERT INTO fragment (message_id, index, kind, status, text, units, name, args, call_index, response, failed, metadata,
    visibility)
  SELECT ${held}.reply, f.index, f.kind::"FragmentKind", f.status::"FragmentStatus", f.text, f.units, f.name,
    nullif(f.args, 'null'), f."callIndex", f.response, f.failed, f.metadata,
    f.visibility::"CallVisibility"
  FROM ${held} JOIN jsonb_to_recordset(${value}::jsonb) AS f(reply uuid, index int, kind text, status text, text text, units int,
    name text, args jsonb, "callIndex" int, response jsonb, failed boolean, metadata jsonb,
    visibility text) ON f.reply = ${held}.reply
  ON CONFLICT DO NOTHING`;
