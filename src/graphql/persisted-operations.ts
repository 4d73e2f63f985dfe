import { readFile } from 'node:fs/promises';
import { usePersistedOperations } from '@graphql-yoga/plugin-persisted-operations';
import { type DocumentNode, GraphQLError, Kind } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { z } from 'zod';
import { StartupError } from '../errors.ts';
import { documentReader, keepDocument } from './documents.ts';
import { badUserInput, graphqlError } from './errors.ts';
import { faultsOfOperation } from './operation-limits.ts';
import { schema } from './schema.ts';

/** The largest list, in bytes. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;

/** The most faults of a list that are told at once. */
const MAX_FAULTS = 10;

/** The parameters of a request that may name an operation, beside `extensions.persistedQuery`. */
export const idParameters = ['documentId', 'doc_id', 'id'] as const;

/** The operations of a list: an id, and the text that it stands for. */
export interface PersistedOperations {
  texts: ReadonlyMap<string, string>;
  /** Whether others are refused. */
  required: boolean;
}

/** As Relay's compiler writes it (id to text), or Apollo's manifest of persisted queries. */
const listSchema = z.union([
  z
    .object({
      format: z.literal('apollo-persisted-query-manifest'),
      version: z.literal(1),
      operations: z.array(z.object({ id: z.string().min(1), body: z.string() })),
    })
    .transform(({ operations }) => operations.map(({ id, body }) => [id, body] as const)),
  z.record(z.string().min(1), z.string()).transform((texts) => Object.entries(texts)),
]);

/**
 * Reads the list in a file. Each of its documents is parsed, checked and costed here, and never again.
 * @throws {StartupError} if it cannot be read, or some of it could never run.
 */
export async function readPersistedOperations(
  path: string,
  { required, introspection }: { required: boolean; introspection: boolean },
): Promise<PersistedOperations> {
  const unusable = (why: string) => new StartupError(`Cannot use PERSISTED_OPERATIONS ${path}: ${why}`);
  const json = await readFile(path).catch((error: unknown) => {
    throw unusable(error instanceof Error ? error.message : String(error));
  });
  if (json.byteLength > MAX_LIST_BYTES) throw unusable(`it is larger than ${MAX_LIST_BYTES} bytes.`);
  const list = listSchema.safeParse(parsed(json.toString('utf8')));
  if (!list.success) {
    throw unusable('it is neither a JSON object of ids and documents nor an Apollo manifest (version 1).');
  }
  const read = documentReader(introspection);
  const faults = list.data.flatMap(([id, text]) => faultsOf(text, read).map((fault) => `${id}: ${fault}`));
  if (faults.length > 0) throw unusable([`${faults.length} faults:`, ...faults.slice(0, MAX_FAULTS)].join('\n  '));
  return { texts: new Map(list.data), required };
}

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

/** What is wrong with a document. A document without faults is kept. */
function faultsOf(text: string, read: ReturnType<typeof documentReader>): string[] {
  try {
    const { document, faults } = read(text);
    const costly = faults.length > 0 ? [] : namesIn(document).flatMap((name) => excessOf(document, name));
    const all = [...faults, ...costly].map(({ message }) => message);
    if (all.length === 0) keepDocument(text, document);
    return all;
  } catch (error) {
    if (error instanceof GraphQLError) return [error.message];
    throw error;
  }
}

function excessOf(document: DocumentNode, operationName: string | null): readonly GraphQLError[] {
  return faultsOfOperation(schema, { document, operationName, params: {} });
}

function namesIn({ definitions }: DocumentNode): (string | null)[] {
  return definitions.flatMap((definition) =>
    definition.kind === Kind.OPERATION_DEFINITION ? [definition.name?.value ?? null] : [],
  );
}

/** What a request says of its operation. Values come from outside, whatever their types say. */
interface Params {
  query?: unknown;
  extensions?: unknown;
}

const hashed = z.object({ persistedQuery: z.object({ version: z.literal(1), sha256Hash: z.string() }) });

/** The id that a request names: Apollo's and urql's hash, GraphQL over HTTP's `documentId`, or Relay's `doc_id` and `id`. */
export function idIn(params: Params): string | null {
  const { data } = hashed.safeParse(params.extensions);
  if (data) return data.persistedQuery.sha256Hash;
  const named = new Map<string, unknown>(Object.entries(params));
  const id = idParameters.map((name) => named.get(name)).find((value) => typeof value === 'string');
  return typeof id === 'string' ? id : null;
}

/**
 * The text of the operation that a request asks for. The same as Yoga's plugin does for HTTP.
 * @throws {GraphQLError}
 */
export function textOf(params: Params, operations: PersistedOperations | null): string {
  if (typeof params.query === 'string' && params.query !== '') {
    if (operations?.required) throw onlyListed();
    return params.query;
  }
  const id = operations && idIn(params);
  if (id === null) throw nothingNamed();
  const text = operations?.texts.get(id);
  if (text === undefined) throw notListed();
  return text;
}

/** Answers requests that name an operation of the list in place of sending its text. */
export function persistedOperations({ texts, required }: PersistedOperations): Plugin {
  return usePersistedOperations({
    allowArbitraryOperations: !required,
    getPersistedOperation: (id) => texts.get(id) ?? null,
    extractPersistedOperationId: (params) => idIn(params),
    customErrors: { notFound: notListed, keyNotFound: nothingNamed, persistedQueryOnly: onlyListed },
  });
}

/** Clients know it by its code or by this message, and may then send the text. */
const notListed = () => graphqlError('PERSISTED_QUERY_NOT_FOUND', 'PersistedQueryNotFound');
const nothingNamed = () => badUserInput('Give a `query`, or the id of a persisted operation.');
const onlyListed = () =>
  graphqlError('FORBIDDEN', 'This server runs only the operations of its list. Send the id of one in place of a text.');
