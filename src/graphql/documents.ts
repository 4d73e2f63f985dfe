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
import { operationLimits } from './limits.ts';
import { schema } from './schema.ts';

/**
 * Documents that come again are not parsed again, and those that run share them; long ones are not kept. Sizes are in
 * characters, and a parsed document takes about 80 bytes for each.
 */
export const documentCache = new LRUCache<string, DocumentNode>({
  maxSize: 250_000,
  maxEntrySize: 16_384,
  sizeCalculation: (_document, source) => source.length || 1,
});

/** Throws a `GraphQLError` for a document that is too long or nested too deeply to be read. */
export function parseDocument(source: string | Source): DocumentNode {
  try {
    return parse(source, { maxLexicalTokens: operationLimits.tokens });
  } catch (error) {
    // The parser calls itself once for each level.
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

/** For connections that do not go through Yoga: parses and validates a document, or knows it already. */
export function documentReader(introspection: boolean) {
  const rules = introspection ? specifiedRules : [...specifiedRules, NoSchemaIntrospectionCustomRule];
  const valid = new WeakSet<DocumentNode>();
  /** Throws as `parseDocument`. */
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
