import { parentPort } from 'node:worker_threads';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import { LRUCache } from 'lru-cache';
import { isJsonObject, type JsonObject } from '../json.ts';
import type { SchemaAnswer, SchemaMessage, SchemaRequest, ValueFault } from './protocol.ts';
import { linearPattern, objectionTo } from './rules.ts';

// Runs in a thread of its own that can be ended at any time, since it compiles and runs what operators write.

const port = parentPort;
if (!port) throw new Error('This module runs as a worker.');
const say = (message: SchemaMessage) => port.postMessage(message);

/** Compiled schemas, keyed by their text. Sizes are in characters of the text. */
const compiled = new LRUCache<string, { validate: ValidateFunction } | { fault: string }>({
  max: 500,
  maxSize: 2_000_000,
  sizeCalculation: (_compiled, text) => text.length,
});

/** Validates schemas against the meta-schema. */
const judge = new Ajv2020({ strict: false, logger: false });

port.on('message', ({ id, schema, value }: SchemaRequest) => {
  const answer: SchemaAnswer = { id, schemaFault: null, valueFault: null };
  if (value === undefined) answer.schemaFault = faultOf(schema);
  else {
    const use = prepare(schema);
    if ('fault' in use) answer.schemaFault = use.fault;
    else answer.valueFault = check(use.validate, value, answer);
  }
  say(answer);
});
say('ready');

/** Why the schema must not be written. */
function faultOf(text: string): string | null {
  const schema = parseObject(text);
  const objection = objectionTo(schema, { toPatterns: true });
  if (objection !== null) return objection;
  try {
    if (judge.validateSchema(schema) !== true) return notASchema(judge.errorsText(judge.errors, { dataVar: 'schema' }));
  } catch (error) {
    return notASchema(messageOf(error));
  }
  const use = prepare(text);
  return 'fault' in use ? use.fault : null;
}

function prepare(text: string): { validate: ValidateFunction } | { fault: string } {
  const known = compiled.get(text);
  if (known) return known;
  const use = compile(parseObject(text));
  compiled.set(text, use);
  return use;
}

/** Uses an Ajv of its own, so that no schema sees the `$id` of another. The schema was validated when it was written. */
function compile(schema: JsonObject): { validate: ValidateFunction } | { fault: string } {
  const fault = objectionTo(schema, { toPatterns: false });
  if (fault !== null) return { fault };
  try {
    const ajv = new Ajv2020({ strict: false, logger: false, meta: false, validateSchema: false, code: { regExp } });
    return { validate: ajv.compile(schema) };
  } catch (error) {
    return { fault: notASchema(messageOf(error)) };
  }
}

function check(validate: ValidateFunction, value: string, answer: SchemaAnswer): ValueFault | null {
  try {
    const parsed: unknown = JSON.parse(value);
    validate(parsed);
    return validate.errors?.[0] ? describe(validate.errors[0]) : null;
  } catch (error) {
    answer.schemaFault = `Cannot be applied: ${messageOf(error)}.`;
    return null;
  }
}

function describe({ instancePath, message, params }: ErrorObject): ValueFault {
  const path = instancePath
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const { additionalProperty, unevaluatedProperty, allowedValues }: Record<string, unknown> = params;
  const extra = additionalProperty ?? unevaluatedProperty;
  if (typeof extra === 'string') return { path: [...path, extra], message: 'is not known', unknownProperty: true };
  const choices = Array.isArray(allowedValues) ? `: ${JSON.stringify(allowedValues).slice(1, 200)}` : '';
  return { path, message: (message ?? 'is not valid') + choices.replace(/\]$/, ''), unknownProperty: false };
}

/** Uses RE2 where it can. Patterns of older schemas and of runtimes are bounded only by the time limit. */
const regExp = Object.assign(
  (pattern: string, flags: string) => {
    const linear = linearPattern(pattern);
    if (!linear) return new RegExp(pattern, flags);
    return { test: (text: string) => linear.matcher(text).find(), toString: () => `re2:${pattern}` };
  },
  { code: 'regExp' },
);

function parseObject(text: string): JsonObject {
  const parsed: unknown = JSON.parse(text);
  return isJsonObject(parsed) ? parsed : {};
}

function notASchema(why: string): string {
  return `Is not a JSON Schema of draft 2020-12: ${why}.`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
