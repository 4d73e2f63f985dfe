import type { ExecutionArgs, GraphQLError } from 'graphql';
import type { Viewer } from '../../access/viewer.ts';
import type { DeliveredEvent } from '../../conversations/schema/event-rows.ts';
import { createContext, type Services } from '../context.ts';
import { execute } from '../execution/execute.ts';
import { fewErrors, maskError, withoutHttp } from '../masking.ts';
import { type Delta, DeltaTemplate } from './template.ts';

/** What a subscriber has asked for: everything but the context and the events. */
export type Operation = Pick<ExecutionArgs, 'schema' | 'document' | 'operationName' | 'variableValues'>;

/** Executes events for one viewer's operation. */
export class Executor {
  private readonly operation: Operation;
  private readonly services: Services;
  private readonly viewer: Viewer;
  /** Undefined until the first delta, null if there can be none. */
  private template: DeltaTemplate | null | undefined;

  constructor(operation: Operation, services: Services, viewer: Viewer) {
    this.operation = operation;
    this.services = services;
    this.viewer = viewer;
  }

  /** The result of an event as JSON. At once for most deltas. */
  resultOf(event: DeliveredEvent): Buffer | Promise<Buffer> {
    if (event.kind === 'fragment-delta' && this.template !== null) {
      if (!this.template) return this.prepare(event);
      const filled = this.template.fill(event);
      if (filled !== null) return Buffer.from(filled);
    }
    return this.execute(event).then(({ json }) => Buffer.from(json));
  }

  private async prepare(event: Delta): Promise<Buffer> {
    const template = await DeltaTemplate.of(event, async (marked) => {
      const { json, failed } = await this.execute(marked);
      return failed ? null : json;
    });
    this.template = template;
    return this.resultOf(event);
  }

  private async execute(event: DeliveredEvent): Promise<{ json: string; failed: boolean }> {
    const { services, viewer } = this;
    // A context of its own: each event may return and read as much as any other operation.
    const contextValue = createContext(services, viewer);
    const { errors, ...result } = await execute({ ...this.operation, contextValue, rootValue: event });
    if (!errors) return { json: JSON.stringify(result), failed: false };
    return { json: JSON.stringify({ ...result, errors: this.masked(errors) }), failed: true };
  }

  private masked(errors: readonly GraphQLError[]): GraphQLError[] {
    return fewErrors(errors).map((error) => withoutHttp(maskError(error, this.services.logger)));
  }
}
