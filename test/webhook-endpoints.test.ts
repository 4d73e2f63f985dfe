import type { LookupAddress } from 'node:dns';
import { readFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { OutboundRules } from '../src/outbound/post.ts';
import { Endpoints } from '../src/webhooks/sending/endpoint.ts';
import { delayAfter, MOST_TRIES, readRetryAfter } from '../src/webhooks/sending/schedule.ts';
import { openReceiver } from './harness/receiver.ts';

const closing: (() => unknown)[] = [];
afterAll(() => Promise.all(closing.map((close) => close())));

/** One try of an endpoint that answers so. */
async function tryOnce(answer: (response: ServerResponse) => void, timeoutMs = 5000) {
  const receiver = await openReceiver();
  closing.push(() => receiver.close());
  receiver.answer = (_request, response) => answer(response);
  return tryUrl(receiver.url, { allowPrivateAddresses: true }, timeoutMs);
}

async function tryUrl(url: string, rules: OutboundRules, timeoutMs = 5000) {
  const endpoints = new Endpoints(rules, timeoutMs);
  closing.push(() => endpoints.close());
  return endpoints.send(new URL(url), '{}', {});
}

const failed = (statusCode: number | null, error: string) => ({
  delivered: false,
  statusCode,
  error: expect.stringContaining(error),
});

test('any status from 200 to 299 is a delivery, however long the answer', async () => {
  expect(await tryOnce((response) => response.writeHead(204).end())).toMatchObject({ delivered: true, error: null });
  const large = await tryOnce((response) => response.writeHead(200).end(Buffer.alloc(10 * 1024 * 1024)));
  expect(large).toMatchObject({ delivered: true, statusCode: 200 });
});

test('an answer whose body comes byte by byte, or never, is over when its time is', async () => {
  const trickling = await tryOnce((response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write('.'), 20);
    response.on('close', () => clearInterval(timer));
  }, 300);
  expect(trickling).toMatchObject({ delivered: true });
  expect(await tryOnce(() => undefined, 300)).toMatchObject(failed(null, 'did not answer within 0.3 s'));
});

test('headers that come byte by byte are no answer', async () => {
  const server: Server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 200 OK\r\n');
    const timer = setInterval(() => socket.write('x'), 20);
    socket.on('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const outcome = await tryUrl(`http://127.0.0.1:${port}/`, { allowPrivateAddresses: true }, 300);
  expect(outcome).toMatchObject(failed(null, 'did not answer within'));
});

test('a redirect is a failure', async () => {
  let followed = false;
  const target = await openReceiver();
  closing.push(() => target.close());
  target.answer = (_request, response) => {
    followed = true;
    response.end();
  };
  const outcome = await tryOnce((response) => response.writeHead(307, { location: target.url }).end());
  expect(outcome).toMatchObject(failed(307, 'a redirect, which is not followed'));
  expect(followed).toBe(false);
});

test('a refusal is told in its own words, up to a length and without control characters', async () => {
  const outcome = await tryOnce((response) => response.writeHead(500).end(`Out\0 of\n order ${'x'.repeat(1000)}`));
  expect(outcome).toMatchObject(failed(500, 'status 500: Out of order xxx'));
  expect(outcome.error?.length).toBeLessThan(300);
});

test('410 says that the endpoint is gone, and Retry-After when to come back', async () => {
  expect(await tryOnce((response) => response.writeHead(410).end())).toMatchObject({ gone: true, statusCode: 410 });
  const busy = await tryOnce((response) => response.writeHead(429, { 'retry-after': '120' }).end());
  expect(busy).toMatchObject({ delivered: false, retryAfter: 120, gone: false });
});

test.each(['http://127.0.0.1:1/', 'http://[::1]:1/', 'http://169.254.169.254/latest', 'http://10.0.0.1/'])(
  'an address that is not public is not called: %s',
  async (url) => {
    expect(await tryUrl(url, { allowPrivateAddresses: false })).toMatchObject(failed(null, 'is not public'));
  },
);

test('a name that leads to a private address after it was checked is not called', async () => {
  const receiver = await openReceiver();
  closing.push(() => receiver.close());
  const { port } = new URL(receiver.url);
  const answers: LookupAddress[][] = [[{ address: '93.184.216.34', family: 4 }], [{ address: '127.0.0.1', family: 4 }]];
  const resolve: OutboundRules['resolve'] = (_name, _options, callback) => callback(null, answers.shift() ?? []);
  // Whoever checked it before got the public address.
  resolve('rebinding.example', { all: true }, () => undefined);
  const outcome = await tryUrl(`http://rebinding.example:${port}/`, { allowPrivateAddresses: false, resolve });
  expect(outcome).toMatchObject(failed(null, 'is not public'));
  expect(receiver.received).toEqual([]);
});

test('an endpoint whose certificate nobody has signed is not sent anything', async () => {
  const [key, cert] = ['key', 'cert'].map((name) =>
    readFileSync(join(import.meta.dirname, 'fixtures', 'self-signed', `${name}.pem`)),
  );
  let asked = false;
  const server = createSecureServer({ key, cert }, (_request, response) => {
    asked = true;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const outcome = await tryUrl(`https://localhost:${port}/`, { allowPrivateAddresses: true });
  expect(outcome).toMatchObject(failed(null, 'DEPTH_ZERO_SELF_SIGNED_CERT'));
  expect(asked).toBe(false);
});

test('nobody at the other end is a failure', async () => {
  const receiver = await openReceiver();
  await receiver.close();
  const outcome = await tryUrl(receiver.url, { allowPrivateAddresses: true });
  expect(outcome).toMatchObject(failed(null, 'could not be reached (ECONNREFUSED)'));
});

test('tries follow one another after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h, with up to a fifth more', () => {
  const seconds = [5, 300, 1800, 7200, 18_000, 36_000, 36_000];
  expect(MOST_TRIES).toBe(8);
  for (const [index, delay] of seconds.entries()) {
    expect(delayAfter(index + 1, null, 0)).toBe(delay * 1000);
    expect(delayAfter(index + 1, null, 1)).toBe(delay * 1200);
  }
  expect(delayAfter(8, null)).toBeNull();
  expect(delayAfter(1, 600, 0)).toBe(600_000);
  expect(delayAfter(3, 1, 0)).toBe(1_800_000);
});

test('Retry-After is a number or a date, at most a day away', () => {
  const now = Date.parse('2026-01-31T12:00:00Z');
  expect(readRetryAfter('90', now)).toBe(90);
  expect(readRetryAfter('Sat, 31 Jan 2026 12:01:00 GMT', now)).toBe(60);
  expect(readRetryAfter('Sat, 31 Jan 2026 11:00:00 GMT', now)).toBe(0);
  expect(readRetryAfter('999999999', now)).toBe(86_400);
  for (const header of [undefined, 'soon', '-5x', '']) expect(readRetryAfter(header, now)).toBeNull();
});
