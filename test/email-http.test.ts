import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { openRateWindows } from '../src/access/rate-limits.ts';
import { hasAllowance, takeAllowanceSql } from '../src/email/allowance.ts';
import { LetterPost } from '../src/email/receiving/post.ts';
import { readReplyAddress, replyAddress } from '../src/email/reply-address.ts';
import { createLogger } from '../src/logger.ts';
import { addOrganization, firstOrganization } from './harness/access.ts';
import { ask } from './harness/client.ts';
import { addEmailInbox, type EmailInbox, lettersOf, post, written } from './harness/mail.ts';
import { useServer } from './harness/server.ts';

const LIMIT = 12;
const server = useServer({ config: { letterLimitPerInbox: LIMIT, rateLimitPerKey: 0 } });
let inbox: EmailInbox;
beforeAll(async () => {
  inbox = await addEmailInbox(server, 'help@shop.example');
});

const rotate = async ({ id }: EmailInbox): Promise<string> => {
  const { result } = await ask<{ result: { letterSecret: string } }>(
    server,
    `mutation ($input: RotateInboxSecretInput!) {
      result: rotateInboxSecret(input: $input) { ... on RotateInboxSecretPayload { letterSecret } }
    }`,
    { input: { inboxId: id } },
  );
  return result.letterSecret;
};

describe('POST /email/<secret>', () => {
  test('without a mail server letters wait, and say so', async () => {
    const from = 'waits@example.com';
    await post(server, inbox, written({ From: from }));
    const outgoing = async () =>
      (await lettersOf(server, { direction: 'OUT' })).find(({ recipient }) => recipient === from);
    await expect.poll(async () => (await outgoing())?.detail, { timeout: 25_000 }).toContain('SMTP_URL');
    expect(await outgoing()).toMatchObject({ status: 'WAITING' });
  });

  test('takes a letter for whoever has the secret of the inbox, and says nothing else to anybody', async () => {
    expect(await post(server, inbox, written())).toBe(202);
    for (const secret of ['', 'letter_', `${inbox.secret}x`, inbox.secret.replace(/.$/, '_'), '%00', 'graphql']) {
      expect(await post(server, { secret }, written()), secret).toBe(404);
    }
    expect((await fetch(`${server.url}/email/${inbox.secret}`)).status).toBe(405);
  });

  test('refuses what is not a letter as it came', async () => {
    for (const type of ['application/json', 'text/plain', 'multipart/form-data']) {
      expect(await post(server, inbox, written(), { 'Content-Type': type })).toBe(415);
    }
    expect(await post(server, inbox, written(), { 'Content-Encoding': 'gzip' })).toBe(415);
    expect(await post(server, inbox, '')).toBe(400);
  });

  test('takes 30 MiB and refuses a byte more, whether its length is told or not', async () => {
    const most = 30 * 1024 * 1024;
    const head = written({ From: 'long@example.com', text: '' });
    // Of few lines: to read millions of them takes as long as reading may.
    const line = `${'long letters '.repeat(75)}\n`;
    const whole = Buffer.concat([Buffer.from(head), Buffer.alloc(most - Buffer.byteLength(head), line)]);
    expect(await post(server, inbox, whole)).toBe(202);
    const longer = Buffer.concat([whole, Buffer.from('x')]);
    expect(await postPiecewise(longer, { 'Content-Length': longer.length })).toBe(413);
    expect(await postPiecewise(longer, { 'Transfer-Encoding': 'chunked' })).toBe(413);
  });

  test('takes the secret before for a day after a rotation, and after two no longer', async () => {
    const other = await addEmailInbox(server, 'other@shop.example');
    const second = await rotate(other);
    for (const secret of [other.secret, second]) expect(await post(server, { secret }, written())).toBe(202);
    await server.services.pool.query(
      `UPDATE letter_secret SET expires_at = now() - interval '1 second' WHERE expires_at IS NOT NULL`,
    );
    expect(await post(server, other, written())).toBe(404);
    const third = await rotate(other);
    const fourth = await rotate(other);
    const statuses = [second, third, fourth].map((secret) => post(server, { secret }, written()));
    expect(await Promise.all(statuses)).toEqual([404, 202, 202]);
    const { rows } = await server.services.pool.query('SELECT * FROM letter_secret');
    expect(JSON.stringify(rows)).not.toContain(fourth);
  });

  test('takes so many letters in a minute, and leaves other inboxes theirs', async () => {
    const minute = () => Math.floor(Date.now() / 60_000);
    const statuses: number[] = [];
    // Letters of the next minute would be taken as well.
    for (let begun = NaN; begun !== minute();) {
      begun = minute();
      const busy = await addEmailInbox(server, `busy${begun}@shop.example`);
      statuses.length = 0;
      while (statuses.length < LIMIT + 5) statuses.push(await post(server, busy, written()));
    }
    expect(statuses.filter((status) => status === 429)).toHaveLength(5);
    expect(statuses.filter((status) => status === 202)).toHaveLength(LIMIT);
    expect(await post(server, await addEmailInbox(server, 'calm@shop.example'), written())).toBe(202);
  });

  test('takes so many bytes in a minute, and leaves other inboxes theirs', async () => {
    const { pool, newId } = server.services;
    const windows = await openRateWindows({
      databaseUrl: server.databaseUrl,
      redisUrl: null,
      logger: createLogger({ level: 'silent' }),
    });
    const letters = new LetterPost({ pool, newId, windows, limitPerInbox: 0, kibPerMinute: 100 });
    const listening = createServer((req, res) => void letters.handle(req, res, () => undefined)).listen(0, '127.0.0.1');
    onTestFinished(async () => {
      listening.close();
      await windows.close();
    });
    await once(listening, 'listening');
    const { port } = listening.address() as AddressInfo;
    const [full, calm] = [
      await addEmailInbox(server, 'full@shop.example'),
      await addEmailInbox(server, 'empty@shop.example'),
    ];
    const sent = (to: EmailInbox) =>
      post({ url: `http://127.0.0.1:${port}` }, to, written({ text: 'x'.repeat(40_000) }));
    expect([await sent(full), await sent(full), await sent(full), await sent(calm)]).toEqual([202, 202, 429, 202]);
  });

  test('shows the letters of an organization to no other', async () => {
    const foreign = await addOrganization(server.services);
    const target = { url: server.url, key: foreign.key };
    await addEmailInbox(target, 'help@shop.example');
    expect(await lettersOf(target, {})).toEqual([]);
    expect(await lettersOf(target, { inboxId: inbox.id })).toEqual([]);
    expect((await lettersOf(server, { inboxId: inbox.id })).length).toBeGreaterThan(0);
  });
});

/** Sends a body as it is taken; returns the status, also of an answer that comes before the end. */
function postPiecewise(body: Buffer, headers: Record<string, string | number>): Promise<number> {
  return new Promise((resolve, reject) => {
    const url = `${server.url}/email/${inbox.secret}`;
    const sending = request(
      url,
      { method: 'POST', headers: { 'Content-Type': 'message/rfc822', ...headers } },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    sending.on('error', reject);
    sending.end(body);
  });
}

describe('a reply address', () => {
  const own = { address: 'Help@shop.example', secret: 'secret' };
  const id = '0198c0de-0000-7000-8000-0123456789ab';

  test('names its conversation to the inbox that has signed it, in upper and lower case, and to no other', () => {
    const address = replyAddress(own, id);
    expect(address).toHaveLength('help+@shop.example'.length + 39);
    for (const written of [address, address.toUpperCase(), address.toLowerCase()]) {
      expect(readReplyAddress(own, written)).toBe(id);
    }
    expect(readReplyAddress({ ...own, secret: 'another' }, address)).toBeNull();
    expect(readReplyAddress({ ...own, address: 'help@other.example' }, address)).toBeNull();
    const at = address.indexOf('+') + 1;
    for (let place = at; place < at + 38; place += 1) {
      const changed = address.slice(0, place) + (address[place] === 'a' ? 'b' : 'a') + address.slice(place + 1);
      expect(readReplyAddress(own, changed)).toBeNull();
    }
    expect(readReplyAddress(own, own.address)).toBeNull();
    expect(readReplyAddress(own, 'help+@shop.example')).toBeNull();
  });
});

describe('automatic answers', () => {
  test('of an address are ten in an hour, however many are taken at once, in whatever spelling', async () => {
    const { pool } = server.services;
    const organizationId = await firstOrganization(server.services);
    const take = async (address: string) => {
      const text = `WITH asked AS (SELECT $1::uuid AS organization_id, $2::text AS address) ${takeAllowanceSql('asked')}`;
      return (await pool.query({ text, values: [organizationId, address] })).rowCount;
    };
    const spellings = Array.from({ length: 25 }, (_, n) => (n % 2 ? 'loop@example.com' : 'LOOP@Example.com'));
    const taken = await Promise.all(spellings.map(take));
    expect(taken.filter((count) => count === 1)).toHaveLength(10);
    expect(await hasAllowance(pool, organizationId, 'Loop@example.com')).toBe(false);
    // The hour of the first three is over.
    await pool.query(
      `UPDATE letter_allowance SET times = (SELECT array_agg(CASE WHEN n <= 3 THEN time - interval '1 hour' ELSE time END ORDER BY n)
        FROM unnest(times) WITH ORDINALITY AS t(time, n))`,
    );
    const more = await Promise.all(spellings.map(take));
    expect(more.filter((count) => count === 1)).toHaveLength(3);
  });
});

describe('the script for mail servers', () => {
  const script = join(import.meta.dirname, '..', 'examples', 'pipe-letter.sh');
  const pipe = (url: string, letter: string) =>
    new Promise<number>((resolve) => {
      const child = execFile(script, [url], (error) => resolve(typeof error?.code === 'number' ? error.code : 0));
      child.stdin?.end(letter);
    });

  test('hands a letter over, and says what is to be tried again and what is not', async () => {
    const letter = written({ From: 'piped@example.com' });
    expect(await pipe(`${server.url}/email/${inbox.secret}`, letter)).toBe(0);
    expect(await pipe(`${server.url}/email/${inbox.secret}`, letter)).toBe(0);
    expect(await pipe(`${server.url}/email/letter_wrong`, letter)).toBe(75);
    const closed = createServer().listen(0);
    const { port } = closed.address() as AddressInfo;
    await new Promise((resolve) => closed.close(resolve));
    expect(await pipe(`http://127.0.0.1:${port}/email/x`, letter)).toBe(75);
    expect(await pipe(`${server.url}/email/${inbox.secret}`, '')).toBe(69);
    await expect
      .poll(
        async () =>
          (await lettersOf(server, { inboxId: inbox.id })).filter(({ sender }) => sender === 'piped@example.com')
            .length,
        // The large letters of the tests before are read first.
        { timeout: 100_000 },
      )
      .toBe(1);
  }, 120_000);
});
