import type { z } from 'zod';
import type { ValueReader } from '../value-reader.ts';

/** Reads a list of at most `max` bytes of JSON. Reports each problem with its path, and returns an empty list then. */
export function readList<T>(
  reader: ValueReader,
  field: string,
  given: readonly unknown[],
  schema: z.ZodType<T[]>,
  max: number,
): T[] {
  const faults = reader.issues.length;
  const json = reader.json([field], given, max);
  if (reader.issues.length > faults) return [];
  const { data, error } = schema.safeParse(json);
  for (const { path, message } of error?.issues ?? []) {
    reader.refuse([field, ...path.map(String)], message.endsWith('.') ? message : `${message}.`, 'SCHEMA');
  }
  return data ?? [];
}
