import {
  type DocumentNode,
  type GraphQLError,
  NoSchemaIntrospectionCustomRule,
  parse,
  type Source,
  specifiedRules,
  validate,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { badUserInput } from './errors.ts';
import { operationLimits } from './operation-limits.ts';
import { schema } from './schema.ts';

/**
 * Parsed documents that clients sent. Long documents are not cached. Sizes are in characters; a parsed document takes about
 * 80 bytes for each character.
 */
const recentDocuments = new LRUCache<string, DocumentNode>({
  maxSize: 250_000,
  maxEntrySize: 16_384,
  sizeCalculation: (_document, source) => source.length || 1,
});

/** Parsed documents that this process keeps, because an operator listed them. */
const keptDocuments = new Map<string, DocumentNode>();

/** Parsed documents by their text, shared by the operations that use them. */
export const documentCache = {
  get: (source: string) => keptDocuments.get(source) ?? recentDocuments.get(source),
  set: (source: string, document: DocumentNode) => void recentDocuments.set(source, document),
};

/** Keeps a valid document, so that it is parsed once and keeps its cost. */
export function keepDocument(source: string, document: DocumentNode): void {
  keptDocuments.set(source, document);
}

/** Throws a `GraphQLError` for a document with syntax errors, or one that is too long or nested too deeply. */
export function parseDocument(source: string | Source): DocumentNode {
  const { length } = typeof source === 'string' ? source : source.body;
  if (length > operationLimits.document) {
    throw badUserInput(
      `The document has ${length} characters; at most ${operationLimits.document} are allowed. Give long values as variables.`,
    );
  }
  try {
    return parse(source, { maxLexicalTokens: operationLimits.tokens });
  } catch (error) {
    // The parser recurses once for each level, so deep nesting overflows the stack.
    throw error instanceof RangeError ? badUserInput('The document is nested too deeply.') : error;
  }
}

/** The faults of a document. */
export const validateDocument: typeof validate = (...args) => {
  try {
    return validate(...args);
  } catch (error) {
    // Some rules call themselves once for each fragment that is spread in another.
    if (error instanceof RangeError) return [badUserInput('The fragments of the document are nested too deeply.')];
    throw error;
  }
};

/** For connections that do not use Yoga: parses and validates a document, or takes it from the cache. */
export function documentReader(introspection: boolean) {
  const rules = introspection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule];
  const valid = new WeakSet<DocumentNode>();
  /** Throws like `parseDocument`. */
  return (source: string): { document: DocumentNode; faults: readonly GraphQLError[] } => {
    const document = documentCache.get(source) ?? parseDocument(source);
    const faults = valid.has(document) ? [] : validateDocument(schema, document, rules);
    if (faults.length === 0) {
      valid.add(document);
      documentCache.set(source, document);
    }
    return { document, faults };
  };
}
