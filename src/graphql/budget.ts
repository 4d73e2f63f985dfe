import {
  defaultFieldResolver,
  getNamedType,
  type GraphQLField,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  isLeafType,
  isObjectType,
  OperationTypeNode,
} from 'graphql';
import { Semaphore } from '../semaphore.ts';
import type { GraphQLContext } from './context.ts';
import { responseTooLarge } from './errors.ts';
import { type PlainRead, plainReadOf, readPlainly } from './plain-fields.ts';

/** Limits on the response of one operation, or of each event of a subscription. */
export const responseLimits = {
  /** Bytes of the response. */
  bytes: 8 * 1024 * 1024,
  /** Fields of all objects in the response. */
  fields: 50_000,
  /** Bytes of fragments read for the response. */
  read: 16 * 1024 * 1024,
  /** Pages read at the same time. */
  pages: 5,
} as const;

/** What one operation has left of its limits. Throws `RESPONSE_TOO_LARGE` when nothing is left. */
export class OperationBudget {
  /** Limits how many pages are read at the same time. */
  readonly pages = new Semaphore(responseLimits.pages);
  private bytes = 0;
  private fields = 0;
  private read = 0;

  /** Starts afresh for the next event of a subscription. */
  renew(): void {
    this.bytes = 0;
    this.fields = 0;
    this.read = 0;
  }

  /** What the response has taken so far. */
  get counted(): { bytes: number; fields: number } {
    return { bytes: this.bytes, fields: this.fields };
  }

  /** How many bytes may still be read. */
  get readable(): number {
    return responseLimits.read - this.read;
  }

  /** Has a part of the response made. What was counted for it is forgotten if that fails or gives nothing. */
  attempt<T>(make: () => T | undefined): T | undefined {
    const { bytes, fields } = this.counted;
    let made: T | undefined;
    try {
      made = make();
    } catch {
      // Whoever makes it in another way meets it again.
    }
    if (made === undefined) {
      this.bytes = bytes;
      this.fields = fields;
    }
    return made;
  }

  addRead(bytes: number): void {
    this.read += bytes;
    if (this.read > responseLimits.read) throw responseTooLarge(responseLimits);
  }

  addField(name: string): void {
    this.addFields(1, bytesOfName(name));
  }

  /** Several fields, whose names take so many bytes. */
  addFields(count: number, bytes: number): void {
    this.fields += count;
    this.bytes += bytes;
    this.check();
  }

  addValue(value: unknown): void {
    this.bytes += weigh(value, responseLimits.bytes - this.bytes);
    this.check();
  }

  private check(): void {
    if (this.bytes > responseLimits.bytes || this.fields > responseLimits.fields) {
      throw responseTooLarge(responseLimits);
    }
  }
}

/** A name with its quotes, colon and comma. */
export const bytesOfName = (name: string): number => name.length + 4;

/** The budget in the context of an operation, if it has one. */
export function budgetOf(context: unknown): OperationBudget | null {
  const hasBudget = typeof context === 'object' && context !== null && 'budget' in context;
  return hasBudget && context.budget instanceof OperationBudget ? context.budget : null;
}

/** About how many bytes a value takes in a response. Stops counting beyond `most`. */
function weigh(value: unknown, most: number): number {
  // A UTF-16 unit takes one to six bytes. For short strings an exact count costs more than it is worth.
  if (typeof value === 'string') {
    return value.length > 1024 ? Buffer.byteLength(JSON.stringify(value)) : value.length + 2;
  }
  if (typeof value !== 'object' || value === null || value instanceof Date || value instanceof URL) return 8;
  let bytes = 2;
  const entries = Array.isArray(value) ? value.entries() : Object.entries(value);
  for (const [key, item] of entries) {
    bytes += typeof key === 'string' ? key.length + 4 : 1;
    bytes += weigh(item, most - bytes);
    if (bytes > most) break;
  }
  return bytes;
}

/** Makes every field of the schema count against the budget of its operation before its value is serialized. */
export function withinBudget(schema: GraphQLSchema): GraphQLSchema {
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      const [{ resolve = defaultFieldResolver }, read] = [field, plainReadOf(field)];
      if (read) {
        countPlainly(field, read);
        continue;
      }
      const isPage = field.args.some(({ name }) => name === 'first');
      const isLeaf = isLeafType(getNamedType(field.type));
      field.resolve = (source, args, context: GraphQLContext, info): unknown => {
        const { budget } = context;
        if (isEvent(info)) budget.renew();
        budget.addField(String(info.path.key));
        if (isPage) return budget.pages.run((): unknown => resolve(source, args, context, info));
        const value: unknown = resolve(source, args, context, info);
        return isLeaf ? countWhenThere(budget, value) : value;
      };
    }
  }
  return schema;
}

/** Has a plain field counted, by its resolver or by whoever reads it. */
export function countPlainly(field: Pick<GraphQLField<unknown, GraphQLContext>, 'type' | 'resolve'>, read: PlainRead) {
  const isLeaf = isLeafType(getNamedType(field.type));
  const counting: PlainRead = (source, context, key) => {
    context.budget.addField(key);
    const value = read(source, context, key);
    return isLeaf ? countWhenThere(context.budget, value) : value;
  };
  readPlainly(field, counting, read);
}

/** Counts a value, once it is there. */
function countWhenThere(budget: OperationBudget, value: unknown): unknown {
  if (value instanceof Promise) return value.then((settled: unknown) => counted(budget, settled));
  return counted(budget, value);
}

function counted(budget: OperationBudget, value: unknown): unknown {
  budget.addValue(value);
  return value;
}

/** Whether this field begins the execution of an event. */
function isEvent({ path, operation }: GraphQLResolveInfo): boolean {
  return path.prev === undefined && operation.operation === OperationTypeNode.SUBSCRIPTION;
}
