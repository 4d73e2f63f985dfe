import { lexicographicSortSchema, printSchema } from 'graphql';
import { schema } from './schema.ts';

/** The whole schema as text, in an order that does not depend on the code's. */
export function printPublicSchema(): string {
  return `${printSchema(lexicographicSortSchema(schema))}\n`;
}
