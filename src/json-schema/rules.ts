import { RE2JS } from 're2js';
import { isJsonObject, type Json, type JsonObject } from '../json.ts';

/** Limits of a schema, so that it can be compiled and checked quickly. */
export const schemaLimits = {
  /** Number of objects and lists. The target of a `$ref` counts at each place that refers to it. */
  nodes: 20_000,
  /** Number of `pattern` and `patternProperties` together. */
  patterns: 100,
  /** In characters. */
  patternLength: 1000,
} as const;

/**
 * Why this schema is too expensive, or null if it is within bounds. Places where no schema is expected are checked
 * too, since a `$ref` may lead there.
 */
export function objectionTo(schema: JsonObject, { toPatterns }: { toPatterns: boolean }): string | null {
  return objectionToKeywords(schema) ?? (toPatterns ? objectionToPatterns(schema) : null) ?? objectionToSize(schema);
}

function objectionToKeywords(schema: JsonObject): string | null {
  for (const node of objectsIn(schema)) {
    if (node.$async === true) return 'Contains `$async`, which is not supported.';
    if (typeof node.$dynamicRef === 'string' || typeof node.$recursiveRef === 'string') {
      return 'Contains a `$dynamicRef` or `$recursiveRef`, which are not supported. Use `$ref`.';
    }
    if (typeof node.$ref === 'string' && !node.$ref.startsWith('#')) {
      return `Contains a \`$ref\` to ${JSON.stringify(node.$ref.slice(0, 100))}: only references into the schema itself are followed, which begin with \`#\`.`;
    }
    if (typeof node.$id === 'string' && node !== schema)
      return 'Contains an `$id` below its top, which is not supported.';
  }
  return null;
}

function objectionToPatterns(schema: JsonObject): string | null {
  let count = 0;
  for (const node of objectsIn(schema)) {
    for (const pattern of patternsOf(node)) {
      count += 1;
      if (count > schemaLimits.patterns) return `Contains more than ${schemaLimits.patterns} patterns.`;
      const shown = JSON.stringify(pattern.slice(0, 100));
      if (pattern.length > schemaLimits.patternLength) {
        return `Contains the pattern ${shown}…, which is longer than ${schemaLimits.patternLength} characters.`;
      }
      if (linearPattern(pattern) === null) {
        return `Contains the pattern ${shown}, which may take too long: patterns are those of RE2, without lookaround and back references, and repeat at most 1000 times.`;
      }
    }
  }
  return null;
}

function patternsOf({ pattern, patternProperties }: JsonObject): string[] {
  return [
    ...(typeof pattern === 'string' ? [pattern] : []),
    ...(isJsonObject(patternProperties ?? null) ? Object.keys(patternProperties ?? {}) : []),
  ];
}

/** A pattern that is matched in linear time. Null if RE2 cannot express it. */
export function linearPattern(pattern: string): RE2JS | null {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(pattern));
  } catch {
    return null;
  }
}

function objectionToSize(schema: JsonObject): string | null {
  const anchors = new Map<string, JsonObject>();
  for (const node of objectsIn(schema)) if (typeof node.$anchor === 'string') anchors.set(node.$anchor, node);
  const sizes = new Map<object, number>();
  const sizeOf = (node: Json): number => {
    if (typeof node !== 'object' || node === null) return 0;
    const known = sizes.get(node);
    if (known !== undefined) return known;
    // A recursive schema ends when the value does, which has a limit of its own.
    sizes.set(node, 0);
    let size = 1;
    for (const item of Object.values(node)) size = Math.min(size + sizeOf(item), schemaLimits.nodes + 1);
    if (isJsonObject(node) && typeof node.$ref === 'string') size += sizeOf(targetOf(schema, anchors, node.$ref));
    sizes.set(node, size);
    return size;
  };
  return sizeOf(schema) > schemaLimits.nodes
    ? `Is too large: with what each \`$ref\` leads to in its place it has more than ${schemaLimits.nodes} objects and lists.`
    : null;
}

function targetOf(schema: JsonObject, anchors: ReadonlyMap<string, JsonObject>, ref: string): Json {
  const fragment = decoded(ref.slice(1));
  if (fragment !== '' && !fragment.startsWith('/')) return anchors.get(fragment) ?? null;
  let target: Json = schema;
  for (const step of fragment.split('/').slice(1)) {
    if (typeof target !== 'object' || target === null) return null;
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    target = Object.entries(target).find(([name]) => name === key)?.[1] ?? null;
  }
  return target;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function* objectsIn(root: Json): Generator<JsonObject> {
  const waiting: Json[] = [root];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (typeof node !== 'object' || node === null) continue;
    if (isJsonObject(node)) yield node;
    waiting.push(...Object.values(node));
  }
}
