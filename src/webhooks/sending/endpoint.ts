import { Agent } from 'undici';
import type { OutboundRules } from '../../outbound/post.ts';
import { assertNotPrivate, PrivateAddressError, publicLookup } from '../../outbound/public-address.ts';
import { Answer, type AnswerRead, TimeoutError } from './answer.ts';
import { readRetryAfter } from './schedule.ts';

/** How long a try may take in all, in milliseconds. */
const TIMEOUT_MS = 15_000;

/** How long a connection is kept that nothing is sent over, in milliseconds. */
const KEPT_MS = 5000;

/** How much of a refusal is remembered, in characters. */
const QUOTED = 200;

/** How a try ended. */
export interface Outcome {
  delivered: boolean;
  statusCode: number | null;
  /** Null if it was delivered. */
  error: string | null;
  /** The seconds that the endpoint asks to wait. */
  retryAfter: number | null;
  /** The endpoint does not want any more. */
  gone: boolean;
}

/** Sends to endpoints, over connections that it keeps for a few seconds. Follows no redirects. */
export class Endpoints {
  private readonly rules: OutboundRules;
  private readonly timeoutMs: number;
  private readonly agent: Agent;

  constructor(rules: OutboundRules, timeoutMs = TIMEOUT_MS) {
    this.rules = rules;
    this.timeoutMs = timeoutMs;
    this.agent = new Agent({
      // Connects only to the very addresses that were checked.
      connect: { timeout: timeoutMs, ...(!rules.allowPrivateAddresses && { lookup: publicLookup(rules.resolve) }) },
      keepAliveTimeout: KEPT_MS,
      keepAliveMaxTimeout: KEPT_MS,
      // Each try has one timer for all of it.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  get allowPrivateAddresses(): boolean {
    return this.rules.allowPrivateAddresses;
  }

  /** One try. Never rejects. What is broken off counts as failed. */
  async send(url: URL, body: string, headers: Record<string, string>): Promise<Outcome> {
    try {
      if (!this.rules.allowPrivateAddresses) assertNotPrivate(url);
      const answer = new Answer(this.timeoutMs);
      this.agent.dispatch(
        {
          origin: url.origin,
          path: url.pathname + url.search,
          method: 'POST',
          headers: { 'content-type': 'application/json', 'user-agent': 'Parley-Webhooks', ...headers },
          body,
        },
        answer,
      );
      return outcomeOf(await answer.read());
    } catch (error) {
      return { delivered: false, statusCode: null, error: this.reason(error), retryAfter: null, gone: false };
    }
  }

  /** Breaks off what is being sent, and closes all connections. */
  close(): Promise<void> {
    return this.agent.destroy();
  }

  private reason(error: unknown): string {
    if (error instanceof PrivateAddressError) return 'The address of the endpoint is not public.';
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
    if (error instanceof TimeoutError || code === 'UND_ERR_CONNECT_TIMEOUT') {
      return `The endpoint did not answer within ${this.timeoutMs / 1000} s.`;
    }
    return `The endpoint could not be reached${code === null ? '' : ` (${code})`}.`;
  }
}

function outcomeOf({ statusCode, retryAfter, text }: AnswerRead): Outcome {
  const delivered = statusCode >= 200 && statusCode < 300;
  return {
    delivered,
    statusCode,
    error: delivered ? null : refusal(statusCode, text),
    retryAfter: delivered ? null : readRetryAfter(retryAfter),
    gone: statusCode === 410,
  };
}

function refusal(statusCode: number, text: string): string {
  if (statusCode >= 300 && statusCode < 400) {
    return `The endpoint answered with status ${statusCode}, a redirect, which is not followed.`;
  }
  const said = text
    .replace(/[\0-\x20\x7f]+/g, ' ')
    .toWellFormed()
    .trim()
    .slice(0, QUOTED)
    .toWellFormed();
  return `The endpoint answered with status ${statusCode}${said === '' ? '.' : `: ${said}`}`;
}
