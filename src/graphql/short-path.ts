import type { IncomingMessage } from 'node:http';
import { type ExecutionResult, getOperationAST, type OperationDefinitionNode } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import type { RateLimits } from '../access/rate-limits.ts';
import type { Viewer } from '../access/viewer.ts';
import { isJsonObject, type JsonObject } from '../json.ts';
import type { Logger } from '../logger.ts';
import type { AcceptedOperations } from './accepted-operations.ts';
import { admit, type Operation } from './admission.ts';
import { tellCommitted } from './committed.ts';
import { createContext, type GraphQLContext, type Services } from './context.ts';
import { asksForCost, withCost } from './cost-report.ts';
import { documentCache } from './documents.ts';
import { execute } from './execution/execute.ts';
import { GRAPHQL_PATH, type ServerContext } from './http.ts';
import { maskError } from './masking.ts';
import { nameOfOperation } from './operation-name.ts';
import { idParameters, type PersistedOperations, textOf } from './persisted-operations.ts';
import { tell } from './reception.ts';
import { schema } from './schema.ts';
import { limitWork } from './work-limit.ts';

interface ShortPathOptions {
  services: Services;
  logger: Logger;
  rateLimits: RateLimits;
  persisted: PersistedOperations | null;
  accepted: AcceptedOperations;
}

/** A request that can take the short path: who asks, and the operation that this server has run before. */
interface Asked {
  viewer: Viewer;
  params: JsonObject;
  operation: Pick<Operation, 'document' | 'operationName' | 'variableValues'>;
}

/**
 * Answers the usual request without Yoga, which reads all others: one query or mutation in a POST of JSON, by a program with a
 * credential, in a document that has come before. Until the operation begins nothing has changed for Yoga, which may still be the one
 * to answer: the steps of the reception are taken once, whoever asks for them. After that Yoga only tells the errors.
 */
export class ShortPath {
  /** The operations that Yoga has found valid, and has run for somebody with a credential. */
  private readonly known = new WeakSet<OperationDefinitionNode>();
  private readonly options: ShortPathOptions;
  private readonly parameters: ReadonlySet<string>;

  constructor(options: ShortPathOptions) {
    this.options = options;
    const own = ['query', 'operationName', 'variables', 'extensions'];
    this.parameters = new Set(options.persisted ? [...own, ...idParameters] : own);
  }

  /** Learns what Yoga has run, and gives it the results that it is to tell. */
  readonly plugin: Plugin<GraphQLContext, ServerContext> = {
    onParams({ context, setResult }) {
      if (context.result) setResult(context.result);
    },
    onExecute: ({ args }) => this.learn(args),
  };

  /** False if Yoga is to answer. */
  async answer(context: ServerContext): Promise<boolean> {
    const { req, res } = context;
    const type = isUsual(req) ? mediaTypeFor(req.headers.accept) : null;
    // What fails here fails again when Yoga comes to it, and is told then.
    const asked = type && (await this.read(context).catch(() => null));
    if (!asked) return false;
    const result = await this.resultOf(context, asked);
    if (result.errors) {
      context.result = result;
      return false;
    }
    // Node counts the length of what ends a response whose headers have not been sent.
    res.setHeader('Content-Type', `${type}; charset=utf-8`);
    res.end(JSON.stringify(result));
    return true;
  }

  private run({ arrival }: ServerContext, operation: Operation): Promise<ExecutionResult> {
    const work = async () => await execute({ schema, ...operation });
    return limitWork(operation.contextValue.clock, () =>
      this.options.accepted.run(() => (arrival ? arrival.during(work) : work())),
    );
  }

  private learn({
    document,
    operationName,
    contextValue,
  }: Pick<Operation, 'document' | 'operationName' | 'contextValue'>) {
    const operation = getOperationAST(document, operationName);
    if (operation && contextValue.viewer.kind !== 'STRANGER') this.known.add(operation);
  }

  private async read(context: ServerContext): Promise<Asked | null> {
    const { reception } = context;
    const viewer = await reception.identity();
    if (typeof viewer === 'string') return null;
    context.arrival = reception.arrival(viewer);
    await reception.count(viewer);
    const params: unknown = JSON.parse((await reception.body(viewer)).toString());
    const operation = isJsonObject(params) ? this.operationIn(params) : null;
    return isJsonObject(params) && operation ? { viewer, params, operation } : null;
  }

  private operationIn(params: JsonObject): Asked['operation'] | null {
    for (const name in params) if (!this.parameters.has(name)) return null;
    const { operationName, variables = null, extensions = null } = params;
    const isNamed = typeof operationName === 'string' && operationName !== '';
    if (!isNamed && operationName != null) return null;
    if ((variables !== null && !isJsonObject(variables)) || (extensions !== null && !isJsonObject(extensions)))
      return null;
    const document = documentCache.get(textOf(params, this.options.persisted));
    const operation = document && getOperationAST(document, operationName);
    if (!operation || !this.known.has(operation)) return null;
    return { document, operationName, variableValues: variables };
  }

  private async resultOf(context: ServerContext, { viewer, params, operation }: Asked): Promise<ExecutionResult> {
    const { services, rateLimits, logger } = this.options;
    try {
      context.operation.name = nameOfOperation(operation);
      const contextValue = createContext(services, viewer);
      const begun = { ...operation, contextValue, params };
      const { errors: refusals, allowance } = await admit(begun, rateLimits);
      if (allowance) tell(context.res, allowance);
      const result = refusals.length > 0 ? { errors: refusals } : await this.run(context, begun);
      const errors = result.errors && tellCommitted(result.errors, contextValue);
      const shown = errors ? { ...result, errors: errors.map((error) => maskError(error, logger)) } : result;
      return asksForCost(params) ? withCost(shown, operation) : shown;
    } catch (error) {
      return { errors: [maskError(error, logger)] };
    }
  }
}

function isUsual({ method, url, headers }: IncomingMessage): boolean {
  const { authorization, origin, 'content-type': type = '', 'content-encoding': encoding } = headers;
  const isJson = type === 'application/json' || (type.startsWith('application/json;') && !type.includes(','));
  const isPlain = origin === undefined && encoding === undefined;
  return method === 'POST' && url === GRAPHQL_PATH && isJson && isPlain && authorization !== undefined;
}

const mediaTypes = ['application/json', 'application/graphql-response+json'];

/** The type that Yoga would answer with, if that is the first that is named. */
function mediaTypeFor(accept = '*/*'): string | null {
  const first = accept.split(',', 1)[0]?.trim().toLowerCase();
  return first === '*/*' ? 'application/json' : (mediaTypes.find((type) => type === first) ?? null);
}
