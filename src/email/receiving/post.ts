import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Pool } from '../../db.ts';
import type { Allowance, RateWindows } from '../../access/rate-windows.ts';
import { UnavailableError } from '../../errors.ts';
import type { NewId } from '../../ids.ts';
import { findLetterInbox, type LetterInbox } from '../../inboxes/letter-secrets.ts';
import { KeyedGate } from '../../keyed-gate.ts';
import { letterLimits } from '../model.ts';
import { storeLetter } from './store.ts';

export const EMAIL_PATH = '/email/';

/** The longest small letter, in bytes. One that does not say how long it is counts as large. */
const SMALL = 256 * 1024;

/** Letters that arrive at the same time: each takes a few times its length of memory, and a slow sender a place for a minute. */
const places = { small: { inAll: 64, ofOrganization: 8 }, large: { inAll: 4, ofOrganization: 1 } } as const;

type Size = keyof typeof places;

const refusal = 'Too many letters arrive at this moment. Send it again a little later.';
const waits = { waiting: 100, waitMs: 10_000, refusal };

/** Gates for an organization, and behind them for all: in that line an organization has no more than its own share. */
function gatesFor(size: Size) {
  const { inAll, ofOrganization } = places[size];
  return {
    ofOrganization: new KeyedGate({ ...waits, atOnce: ofOrganization }),
    inAll: new KeyedGate({ ...waits, atOnce: inAll }),
  };
}

export interface LetterPostOptions {
  pool: Pool;
  newId: NewId;
  windows: Pick<RateWindows, 'take'>;
  /** Letters per minute that an inbox takes. 0: any number. */
  limitPerInbox: number;
  /** KiB per minute that an inbox takes. Default: `letterLimits.kibPerMinute`. */
  kibPerMinute?: number;
}

/** Takes the letters that a provider or a mail server posts, as they are: `POST /email/<secret>` with `message/rfc822`. */
export class LetterPost {
  private readonly options: LetterPostOptions;
  private readonly gates = { small: gatesFor('small'), large: gatesFor('large') };

  constructor(options: LetterPostOptions) {
    this.options = options;
  }

  /** Answers a request. `onKnown` is called once it has shown a secret. 2xx means that the letter is stored. */
  async handle(req: IncomingMessage, res: ServerResponse, onKnown: () => void): Promise<void> {
    try {
      await this.answer(req, res, onKnown);
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      res.setHeader('Retry-After', String(error.retryAfter));
      answer(res, 503, error.message);
    }
  }

  private async answer(req: IncomingMessage, res: ServerResponse, onKnown: () => void): Promise<void> {
    res.setHeader('Cache-Control', 'no-store');
    if (req.method !== 'POST') {
      res.setHeader('Allow', 'POST');
      return answer(res, 405, 'Send a letter by POST.');
    }
    const path = (req.url ?? '').split('?', 1)[0] ?? '';
    const inbox = await findLetterInbox(this.options.pool, path.slice(EMAIL_PATH.length));
    if (!inbox) return answer(res, 404, 'The secret in the path is of no email inbox that has an address.');
    onKnown();
    const type = req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
    if (type !== 'message/rfc822' || (req.headers['content-encoding'] ?? 'identity') !== 'identity') {
      return answer(
        res,
        415,
        'Send the letter as it came, with `Content-Type: message/rfc822` and without an encoding.',
      );
    }
    const length = Number(req.headers['content-length'] ?? Infinity);
    if (Number.isFinite(length) && length > letterLimits.raw) return tooLarge(res);
    const { windows, limitPerInbox: limit } = this.options;
    const allowance = limit === 0 ? null : await windows.take(`letters:${inbox.inboxId}`, limit, 1);
    if (allowance?.allowed === false) return tooMany(res, allowance);
    const { ofOrganization, inAll } = this.gates[length <= SMALL ? 'small' : 'large'];
    const take = () => this.take(inbox, req, res);
    await ofOrganization.run(inbox.organizationId, () => inAll.run('', take));
  }

  private async take(inbox: LetterInbox, req: IncomingMessage, res: ServerResponse): Promise<void> {
    const raw = await readBody(req);
    // The sender has gone, and sends it again.
    if (raw === null) return;
    if (raw === 'TOO_LARGE') return tooLarge(res);
    if (raw.length === 0) return answer(res, 400, 'The letter is empty.');
    const { windows, kibPerMinute = letterLimits.kibPerMinute } = this.options;
    const size = Math.ceil(raw.length / 1024);
    const allowance = await windows.take(`letter-kib:${inbox.inboxId}`, kibPerMinute, size);
    if (!allowance.allowed) return tooMany(res, allowance);
    const isNew = await storeLetter(this.options, inbox, raw);
    res.writeHead(isNew ? 202 : 200, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify({ letter: isNew ? 'stored' : 'known' }));
  }
}

/** Null if the peer ends the request before it is whole. How long it may take is the listener's concern. */
async function readBody(req: IncomingMessage): Promise<Buffer | 'TOO_LARGE' | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of req.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(chunk)) return null;
      bytes += chunk.length;
      if (bytes > letterLimits.raw) return 'TOO_LARGE';
      chunks.push(chunk);
    }
  } catch {
    return null;
  }
  return Buffer.concat(chunks, bytes);
}

function tooMany(res: ServerResponse, { resetSeconds }: Allowance): void {
  res.setHeader('Retry-After', String(resetSeconds));
  answer(res, 429, 'The inbox takes no more letters in this minute. Send it again later.');
}

function tooLarge(res: ServerResponse): void {
  // The rest of it is not read.
  res.setHeader('Connection', 'close');
  answer(res, 413, `A letter may have ${letterLimits.raw} bytes.`);
}

function answer(res: ServerResponse, status: number, error: string): void {
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error }));
}
