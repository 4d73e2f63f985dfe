import type { GraphQLObjectType } from 'graphql';
import type { ExecutionContext } from 'graphql/execution/execute.js';
import { budgetOf, type OperationBudget } from '../budget.ts';
import { isPromise } from './is-promise.ts';
import type { AbstractOutput, ListOutput, Output } from './output.ts';
import type { FieldPlan, Plan } from './plan.ts';

/**
 * Completes lists of objects whose fields are all plain, and have their values: most of a page. It makes nothing but the result. Where
 * anything else comes up it gives up, and the execution does it as for all other fields, which tells errors and waits.
 */
export class PlainObjects {
  private readonly context: ExecutionContext;
  private readonly plan: Plan;
  private readonly budget: OperationBudget | null;

  constructor(context: ExecutionContext, plan: Plan) {
    this.context = context;
    this.plan = plan;
    this.budget = budgetOf(context.contextValue);
  }

  /** The value of a field, or a part of it, that is a list. Undefined if it gives up: then nothing has been counted for it. */
  list(output: ListOutput, field: FieldPlan, value: unknown): unknown[] | undefined {
    if (output.item.kind === 'LEAF' || !Array.isArray(value)) return undefined;
    return this.budget?.attempt(() => this.items(output, field, value));
  }

  private items({ item }: ListOutput, field: FieldPlan, entries: readonly unknown[]): unknown[] | undefined {
    const items: unknown[] = [];
    for (const entry of entries) {
      const completed = this.complete(item, field, entry);
      if (completed === undefined) return undefined;
      items.push(completed);
    }
    return items;
  }

  private complete(output: Output, field: FieldPlan, value: unknown): unknown {
    if (value == null) return output.isNonNull ? undefined : null;
    if (typeof value === 'object') {
      if (value instanceof Error) return undefined;
      if (isPromise(value)) return void value.then(undefined, ignored);
    }
    switch (output.kind) {
      case 'LEAF':
        return output.type.serialize(value) ?? undefined;
      case 'LIST':
        return Array.isArray(value) ? this.items(output, field, value) : undefined;
      case 'ABSTRACT': {
        const type = typeOf(output, value);
        return type && this.object(type, field, value);
      }
      case 'OBJECT':
        return this.object(output.type, field, value);
    }
  }

  private object(type: GraphQLObjectType, field: FieldPlan, source: unknown): Record<string, unknown> | undefined {
    const { fields, isPlain, isBare, counted } = this.plan.below(this.context, field, type);
    if (!isPlain || isBare || type.isTypeOf) return undefined;
    this.budget?.addFields(counted.fields, counted.bytes);
    const result: Record<string, unknown> = {};
    for (const each of fields) {
      const value = each.plain?.uncounted(source, this.context.contextValue, each.key);
      if (each.plain?.isWeighed) this.budget?.addValue(value);
      const completed = this.complete(each.output, each, value);
      if (completed === undefined) return undefined;
      result[each.key] = completed;
    }
    return result;
  }
}

/** Whoever asks again meets the same failure. */
const ignored = () => undefined;

/** Known once the execution has found it to be right. */
function typeOf({ plainType, runtimeTypes }: AbstractOutput, value: unknown): GraphQLObjectType | undefined {
  return plainType ? runtimeTypes.get(plainType(value)) : undefined;
}
