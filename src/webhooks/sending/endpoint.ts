import { Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { type OutboundRules, post, PostTimeoutError } from '../../outbound/post.ts';
import { PrivateAddressError } from '../../outbound/public-address.ts';
import { readRetryAfter } from './schedule.ts';

/** How long a try may take in all, in milliseconds. */
const TIMEOUT_MS = 15_000;

/** How much of an answer is read, in bytes. */
const MAX_ANSWER = 64 * 1024;

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

/** Sends to endpoints, over connections that it keeps for a few seconds. */
export class Endpoints {
  private readonly rules: OutboundRules;
  private readonly timeoutMs: number;
  private readonly agents = {
    'http:': new HttpAgent({ keepAlive: true, maxFreeSockets: 64, timeout: 5000 }),
    'https:': new HttpsAgent({ keepAlive: true, maxFreeSockets: 64, timeout: 5000 }),
  };

  constructor(rules: OutboundRules, timeoutMs = TIMEOUT_MS) {
    this.rules = rules;
    this.timeoutMs = timeoutMs;
  }

  get allowPrivateAddresses(): boolean {
    return this.rules.allowPrivateAddresses;
  }

  /** One try. Never rejects. What is aborted by `signal` counts as failed. */
  async send(url: string, body: string, headers: Record<string, string>, signal: AbortSignal): Promise<Outcome> {
    try {
      const target = new URL(url);
      const answer = await post(target, body, {
        ...this.rules,
        headers: { 'content-type': 'application/json', 'user-agent': 'Parley-Webhooks', ...headers },
        signal,
        timeoutMs: this.timeoutMs,
        agent: this.agents[target.protocol === 'http:' ? 'http:' : 'https:'],
      });
      return await outcomeOf(answer);
    } catch (error) {
      return { delivered: false, statusCode: null, error: this.reason(error), retryAfter: null, gone: false };
    }
  }

  /** Closes the connections that are kept. */
  close(): void {
    for (const agent of Object.values(this.agents)) agent.destroy();
  }

  private reason(error: unknown): string {
    if (error instanceof PostTimeoutError) return `The endpoint did not answer within ${this.timeoutMs / 1000} s.`;
    if (error instanceof PrivateAddressError) return 'The address of the endpoint is not public.';
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? ` (${error.code})` : '';
    return `The endpoint could not be reached${code}.`;
  }
}

async function outcomeOf(answer: IncomingMessage): Promise<Outcome> {
  const { statusCode = 0 } = answer;
  const delivered = statusCode >= 200 && statusCode < 300;
  const text = await beginningOf(answer);
  return {
    delivered,
    statusCode,
    error: delivered ? null : refusal(statusCode, text),
    retryAfter: delivered ? null : readRetryAfter(answer.headers['retry-after']),
    gone: statusCode === 410,
  };
}

/** Reads an answer to its end, so that its connection can be kept, or up to the limit or the time. What it says is known by then. */
function beginningOf(answer: IncomingMessage): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let length = 0;
    answer.on('data', (chunk: Buffer) => {
      length += chunk.byteLength;
      if (length <= MAX_ANSWER) chunks.push(chunk);
      else answer.destroy();
    });
    // Broken off. The status counts.
    answer.on('error', () => undefined);
    answer.on('close', () => resolve(Buffer.concat(chunks).toString('utf8')));
  });
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
