import { lexicographicSortSchema, printSchema } from 'graphql';
import { schema } from './schema.ts';

/** The whole schema as text, sorted so that the order of the code does not matter. */
export function printPublicSchema(): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}
