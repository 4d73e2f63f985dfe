import { generateKeyPairSync } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createTransport } from 'nodemailer';
import { SMTPServer } from 'smtp-server';
import type { ResolveDns } from '../../src/email/model.ts';
import { expect } from 'vitest';
import { ask, type Target } from './client.ts';
import type { TestServer } from './server.ts';

/** A letter that the mail server was given. */
export interface Delivered {
  /** The envelope. */
  sender: string;
  recipient: string;
  raw: string;
  /** Header fields by their names in small letters, unfolded. */
  headers: Record<string, string>;
  text: string;
}

export interface MailServer {
  /** For `SMTP_URL`. */
  readonly url: string;
  readonly letters: Delivered[];
  /** Decides what becomes of a letter, before it is kept: an error with a `responseCode` refuses it. */
  decide: (letter: Delivered) => Error | null | Promise<Error | null>;
  /** The letters to an address, as soon as there are so many. */
  until(recipient: string, count: number): Promise<Delivered[]>;
  close(): Promise<void>;
}

/** A refusal by the mail server. */
export function refusal(responseCode: number, text: string): Error {
  return Object.assign(new Error(text), { responseCode });
}

/** A real mail server on this machine that keeps what it is given. */
export async function openMailServer(port = 0): Promise<MailServer> {
  const waiting = new Set<() => void>();
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    // A client keeps its connection for the next letter.
    closeTimeout: 100,
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        const letter = read(
          Buffer.concat(chunks).toString(),
          mailFrom ? mailFrom.address : '',
          rcptTo[0]?.address ?? '',
        );
        void (async () => {
          const refused = await server.decide(letter);
          if (refused) return done(refused);
          server.letters.push(letter);
          done();
          for (const look of [...waiting]) look();
        })();
      });
    },
  });
  smtp.on('error', () => undefined);
  await new Promise<void>((resolve) => smtp.listen(port, '127.0.0.1', resolve));
  const address = smtp.server.address() as AddressInfo;
  const server: MailServer = {
    url: `smtp://127.0.0.1:${address.port}`,
    letters: [],
    decide: () => null,
    until: (recipient, count) =>
      new Promise((resolve) => {
        const look = () => {
          const found = server.letters.filter((letter) => letter.recipient === recipient);
          if (found.length < count) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    close: () => new Promise((resolve) => smtp.close(() => resolve())),
  };
  return server;
}

function read(raw: string, sender: string, recipient: string): Delivered {
  const end = raw.indexOf('\r\n\r\n');
  const head = raw.slice(0, end).replace(/\r\n[ \t]+/g, ' ');
  const headers = Object.fromEntries(
    head.split('\r\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { sender, recipient, raw, headers, text: raw.slice(end + 4).trim() };
}

/** A letter as it is written down. `headers` are put in as they are; null leaves one out. */
export function written({
  text = 'Hello',
  ...headers
}: { text?: string } & Record<string, string | null | undefined> = {}): string {
  const all: Record<string, string | null | undefined> = {
    From: 'Maria <maria@example.com>',
    To: 'help@shop.example',
    Subject: 'My order',
    'Message-ID': `<${Math.random().toString(36).slice(2)}@example.com>`,
    Date: new Date().toUTCString(),
    'Content-Type': 'text/plain; charset=utf-8',
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value == null ? [] : [`${name}: ${value}`]));
  return `${lines.join('\r\n')}\r\n\r\n${text}\r\n`;
}

const { privateKey, publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'der' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});

/** The domain whose letters `signed` signs. It has a DMARC record; others have none. */
export const SIGNING_DOMAIN = 'vouching.example';

/** A domain name system that knows only that domain. */
export const resolveDns: ResolveDns = (name, type) => {
  const records: Record<string, string> = {
    [`mail._domainkey.${SIGNING_DOMAIN}`]: `v=DKIM1; k=rsa; p=${publicKey.toString('base64')}`,
    [`_dmarc.${SIGNING_DOMAIN}`]: 'v=DMARC1; p=reject',
  };
  const found = type === 'TXT' ? records[name] : undefined;
  if (found !== undefined) return Promise.resolve([[found]]);
  return Promise.reject(Object.assign(new Error(`${name} does not exist`), { code: 'ENOTFOUND' }));
};

/** A letter from an address of `SIGNING_DOMAIN`, signed by it. */
export async function signed(
  letter: {
    from: string;
    to: string;
    text: string;
    subject?: string;
    inReplyTo?: string;
  },
  hashAlgo = 'sha256',
): Promise<string> {
  const transport = createTransport({
    streamTransport: true,
    buffer: true,
    newline: 'windows',
    dkim: { domainName: SIGNING_DOMAIN, keySelector: 'mail', privateKey, hashAlgo },
  });
  const { message } = await transport.sendMail({ subject: 'My order', ...letter });
  if (!Buffer.isBuffer(message)) throw new Error('The letter was not made whole.');
  return message.toString();
}

export interface EmailInbox {
  id: string;
  address: string;
  secret: string;
}

/** Makes an email inbox; throws when that fails. */
export async function addEmailInbox(
  target: Target,
  address: string,
  input: Record<string, unknown> = {},
): Promise<EmailInbox> {
  const { result } = await ask<{ result: { inbox: { id: string }; letterSecret: string } }>(
    target,
    `mutation ($input: CreateInboxInput!) {
      result: createInbox(input: $input) { ... on CreateInboxPayload { inbox { id } letterSecret } }
    }`,
    { input: { name: 'Shop', channel: 'EMAIL', address, ...input } },
  );
  return { id: result.inbox.id, address, secret: result.letterSecret };
}

/** Gives a letter to an inbox as a provider does; returns the HTTP status. */
export async function post(
  { url }: Pick<Target, 'url'>,
  { secret }: Pick<EmailInbox, 'secret'>,
  letter: string | Buffer,
  headers: Record<string, string> = {},
): Promise<number> {
  const response = await fetch(`${url}/email/${secret}`, {
    method: 'POST',
    headers: { 'Content-Type': 'message/rfc822', ...headers },
    body: typeof letter === 'string' ? letter : new Uint8Array(letter),
  });
  await response.arrayBuffer();
  return response.status;
}

export interface LetterData {
  id: string;
  direction: 'IN' | 'OUT';
  status: string;
  detail: string | null;
  tries: number;
  sender: string | null;
  recipient: string | null;
  subject: string | null;
  verified: boolean;
  automatic: string | null;
  wholeText: string | null;
  conversation: {
    id: string;
    title: string | null;
    continues: { id: string } | null;
    contact: { id: string; email: string; anonymous: boolean } | null;
    messages: { nodes: { id: string; role: string; text: string; author: { displayName: string | null } }[] };
  } | null;
  messageId: string | null;
}

/** Resolves once all letters that came in from an address are dealt with, and are so many. */
export async function untilDealtWith({ services }: TestServer, sender: string, count = 1): Promise<void> {
  const statuses = async () => {
    const { rows } = await services.pool.query<{ status: string }>(
      `SELECT status FROM letter WHERE direction = 'IN' AND lower(sender) = lower($1)`,
      [sender],
    );
    return rows.filter(({ status }) => status !== 'WAITING').length;
  };
  await expect.poll(statuses, { timeout: 20_000 }).toBe(count);
}

/** The latest 40 letters that match, oldest first. */
export async function lettersOf(target: Target, filter: Record<string, unknown>): Promise<LetterData[]> {
  const { letters } = await ask<{ letters: { nodes: LetterData[] } }>(
    target,
    `query ($filter: LetterFilter) {
      letters(filter: $filter, last: 40) {
        nodes {
          id direction status detail tries sender recipient subject verified automatic wholeText messageId
          conversation {
            id title continues { id } contact { id email anonymous }
            messages(first: 25) { nodes { id role text author { displayName } } }
          }
        }
      }
    }`,
    { filter },
  );
  return letters.nodes;
}
