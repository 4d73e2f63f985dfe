import { getOperationAST, Kind, OperationTypeNode } from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { networkOf } from '../access/network.ts';
import type { RateLimits } from '../access/rate-limits.ts';
import { strangerFrom } from '../access/viewer.ts';
import { parseDocument } from './documents.ts';
import { tooManyOperations, unauthenticated } from './errors.ts';
import type { ServerContext } from './http.ts';
import { type PersistedOperations, textOf } from './persisted-operations.ts';
import { tell } from './reception.ts';

/** The longest document that starts a visit, in characters. */
const MAX_DOCUMENT = 4096;

/**
 * Lets requests start visits without a credential, limited by the network that they come from, and refuses strangers everything
 * else, in the same way whatever it is. A credential is not taken into account: who starts a visit is a stranger until then.
 */
export function admitStrangers(options: {
  persisted: PersistedOperations | null;
  rateLimits: RateLimits;
  trustedProxies: number;
}): Plugin<object, ServerContext> {
  const { persisted, rateLimits, trustedProxies } = options;
  return {
    async onParams({ params, context }) {
      if (!startsVisit(params, persisted)) {
        if (context.viewer?.kind === 'STRANGER') throw unauthenticated();
        return;
      }
      const stranger = strangerFrom(networkOf(context.req, trustedProxies));
      context.viewer = stranger;
      const allowance = await rateLimits.take(stranger, 1);
      if (!allowance) return;
      tell(context.res, allowance);
      if (!allowance.allowed) throw tooManyOperations(allowance);
    },
  };
}

/** Whether `startVisit` is all that a request asks for. */
function startsVisit(
  params: Parameters<typeof textOf>[0] & { operationName?: unknown },
  persisted: PersistedOperations | null,
): boolean {
  try {
    const text = textOf(params, persisted);
    if (text.length > MAX_DOCUMENT || !text.includes('startVisit')) return false;
    const name = typeof params.operationName === 'string' ? params.operationName : undefined;
    const operation = getOperationAST(parseDocument(text), name);
    const [field, ...others] = operation?.selectionSet.selections ?? [];
    return (
      operation?.operation === OperationTypeNode.MUTATION &&
      others.length === 0 &&
      field?.kind === Kind.FIELD &&
      field.name.value === 'startVisit'
    );
  } catch {
    // Whatever is wrong with it is told to whom it may be told when it is read again.
    return false;
  }
}
