import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HttpTool, toolsSchema } from '../src/agents/http-tool.ts';
import { callHttpTool, type HttpCallOptions } from '../src/agents/model/http-call.ts';
import { isPublicAddress, publicLookup, type Resolve } from '../src/outbound/public-address.ts';
import type { JsonObject } from '../src/json.ts';

let server: Server;
let port: number;
let answer: RequestListener;
const requests: { request: IncomingMessage; body: string }[] = [];

beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      requests.push({ request, body });
      answer(request, response);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  port = typeof address === 'object' ? (address?.port ?? 0) : 0;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function tool(changes: Partial<HttpTool> = {}): HttpTool {
  const url = `http://127.0.0.1:${port}/orders`;
  return { name: 'order', description: '', url, headers: {}, parametersSchema: {}, timeoutSeconds: 20, ...changes };
}

interface Given extends Partial<HttpCallOptions> {
  args?: JsonObject;
  signal?: AbortSignal;
}

async function call(changes: Partial<HttpTool> = {}, { args = {}, signal, ...options }: Given = {}) {
  requests.length = 0;
  return callHttpTool(tool(changes), args, {
    allowPrivateAddresses: true,
    signal: signal ?? new AbortController().signal,
    ...options,
  });
}

function answers(body: string | Buffer, headers: Record<string, string> = {}, status = 200): void {
  answer = (_request, response) => response.writeHead(status, headers).end(body);
}

const json = { 'content-type': 'application/json; charset=utf-8' };

describe('a call of an HTTP tool', () => {
  test('posts the arguments as JSON with the headers of the operator', async () => {
    answers('{"state":"sent"}', json);
    const headers = { Authorization: 'Bearer hunter2', 'X-Shop': 'hats' };
    expect(await call({ headers }, { args: { id: 'é1' } })).toEqual({ state: 'sent' });
    const [seen] = requests;
    expect(seen?.request).toMatchObject({ method: 'POST', url: '/orders' });
    expect(seen?.request.headers).toMatchObject({
      authorization: 'Bearer hunter2',
      'x-shop': 'hats',
      'content-type': 'application/json',
      'content-length': '12',
      host: `127.0.0.1:${port}`,
    });
    expect(seen?.body).toBe('{"id":"é1"}');
  });

  test.each<[string, string, string, unknown]>([
    ['JSON', 'application/json', '[1,{"a":null}]', [1, { a: null }]],
    ['JSON of another name', 'application/problem+json', '{"a":1}', { a: 1 }],
    ['text', 'text/plain', '{"a":1}', '{"a":1}'],
    ['text', 'text/html; charset=utf-8', '<p>é 👍🏽</p>', '<p>é 👍🏽</p>'],
    ['nothing', 'application/json', '', null],
  ])('returns %s (%s)', async (_kind, type, body, expected) => {
    answers(body, { 'content-type': type });
    expect(await call()).toEqual(expected);
  });

  test.each<[string, RequestListener, RegExp]>([
    ['a status that is no success', (_, r) => r.writeHead(500).end('secret'), /answered with status 500\.$/],
    ['a redirect', (_, r) => r.writeHead(307, { location: '/elsewhere' }).end(), /status 307, a redirect/],
    ['what is not well-formed', (_, r) => r.writeHead(200, json).end('{"a":'), /not well-formed/],
    [
      'nesting that nobody could store',
      (_, r) => r.writeHead(200, json).end('['.repeat(90_000) + ']'.repeat(90_000)),
      /nested too deeply/,
    ],
    ['a picture', (_, r) => r.writeHead(200, { 'content-type': 'image/png' }).end('x'), /neither JSON nor text/],
    [
      'what nobody asked to be packed',
      (_, r) => r.writeHead(200, { ...json, 'content-encoding': 'gzip' }).end('x'),
      /neither JSON nor text/,
    ],
    ['more than 256 KiB', (_, r) => r.writeHead(200).end('x'.repeat(256 * 1024 + 1)), /more than 256 KiB/],
    [
      'an answer that breaks off',
      (_, r) => {
        r.writeHead(200, { ...json, 'content-length': '10' }).write('{"a"', () => r.destroy());
      },
      /broke off/,
    ],
  ])('refuses %s', async (_case, listener, reason) => {
    answer = listener;
    const error = await call({ headers: { 'X-Key': 'hunter2' } }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'ToolError', message: expect.stringMatching(reason) });
    expect(String(error)).not.toMatch(/secret|hunter2|127\.0\.0\.1/);
    expect(requests).toHaveLength(1);
  });

  test('takes an answer of exactly 256 KiB', async () => {
    answers('x'.repeat(256 * 1024));
    expect(await call()).toHaveLength(256 * 1024);
  });

  test('does not read on when an answer is too long', async () => {
    let written = 0;
    const closed = new Promise<void>((resolve) => {
      answer = (_request, response) => {
        response.on('close', resolve).on('error', () => undefined);
        response.writeHead(200);
        const pour = () => {
          while (!response.destroyed && written < 100e6) {
            written += 65_536;
            if (!response.write('x'.repeat(65_536))) return void response.once('drain', pour);
          }
        };
        pour();
      };
    });
    await expect(call()).rejects.toThrow(/256 KiB/);
    await closed;
    expect(written).toBeLessThan(50e6);
  });

  test.each([
    ['before it answers', () => undefined],
    ['in the middle of its answer', (r: Parameters<RequestListener>[1]) => void r.writeHead(200).write('x')],
  ])('takes no longer than the tool may, also when it hangs %s', async (_case, begin) => {
    answer = (_request, response) => begin(response);
    await expect(call({ timeoutSeconds: 0.2 })).rejects.toThrow('did not answer within 0.2 s');
  });

  test('ends with the reason of an abort', async () => {
    const controller = new AbortController();
    const reason = new Error('stopped');
    answer = () => controller.abort(reason);
    await expect(call({}, { signal: controller.signal })).rejects.toBe(reason);
  });

  test('says so when nobody answers, and not where', async () => {
    const error: unknown = await call({ url: 'http://127.0.0.1:1/key' }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'ToolError', message: 'The tool could not be reached.' });
  });
});

describe('a tool may not call', () => {
  test.each([
    ...['168.63.129.16', '161.26.0.10', '166.9.0.1', '100.100.100.200'],
    ...['127.0.0.1', '127.8.8.8', '0.0.0.0', '10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1'],
    ...['169.254.169.254', '192.0.0.8', '192.0.2.1', '198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
    ...['::', '::1', 'fe80::1', 'fe80::1%eth0', 'fc00::1', 'fd00:ec2::254', 'fec0::1', 'ff02::1', '2001:db8::1'],
    ...['::ffff:127.0.0.1', '::ffff:a9fe:a9fe', '::127.0.0.1', '64:ff9b::7f00:1', '64:ff9b:1::7f00:1'],
    ...['2002:7f00:1::', '2001::7f00:1', '4000::1', 'localhost', '', '1.2.3', '1.2.3.4.5'],
  ])('%s', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  test.each(['1.1.1.1', '93.184.216.34', '172.32.0.1', '2606:4700:4700::1111', '::ffff:8.8.8.8'])(
    'but it may call %s',
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );

  test.each([
    'http://127.0.0.1:PORT/',
    'http://127.1:PORT/',
    'http://2130706433:PORT/',
    'http://0x7f000001:PORT/',
    'http://0177.0.0.1:PORT/',
    'http://0:PORT/',
    'http://①②⑦.0.0.1:PORT/',
    'http://[::1]:PORT/',
    'http://[::ffff:127.0.0.1]:PORT/',
    'http://[0:0:0:0:0:ffff:7f00:1]:PORT/',
    'http://localhost:PORT/',
    'http://LocalHost:PORT/',
    'https://127.0.0.1:PORT/',
    'https://localhost:PORT/',
    'http://user:password@127.0.0.1:PORT/',
  ])('%s, however it is written', async (url) => {
    answers('private', {});
    const error: unknown = await call(
      { url: url.replace('PORT', String(port)) },
      { allowPrivateAddresses: false },
    ).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'ToolError', message: 'The address of the tool is not allowed.' });
    expect(requests).toEqual([]);
  });

  const resolves =
    (...addresses: string[]): Resolve =>
    (_hostname, _options, callback) =>
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      );

  test('a name that leads to such an address, or to one among others', async () => {
    answers('private', {});
    const url = `http://tools.example.com:${port}/`;
    for (const resolve of [resolves('127.0.0.1'), resolves('93.184.216.34', '127.0.0.1'), resolves('::ffff:7f00:1')])
      await expect(call({ url }, { allowPrivateAddresses: false, resolve })).rejects.toThrow('not allowed');
    expect(requests).toEqual([]);
  });

  test('a name that leads elsewhere when it is looked up again: what is checked is what is connected to', () => {
    const answered: unknown[] = [];
    const resolved = [resolves('93.184.216.34', '2606:4700::1'), resolves('127.0.0.1')];
    const lookup = publicLookup((...args) => resolved.shift()?.(...args));
    const note = (...args: unknown[]) => answered.push(args);
    lookup('rebinding.example.com', { all: true }, note);
    expect(answered).toEqual([
      [
        null,
        [
          { address: '93.184.216.34', family: 4 },
          { address: '2606:4700::1', family: 6 },
        ],
      ],
    ]);
    expect(resolved).toHaveLength(1);
    lookup('rebinding.example.com', {}, note);
    expect(answered[1]).toEqual([expect.objectContaining({ name: 'PrivateAddressError' }), '', 0]);
  });

  test('a name that nobody knows', async () => {
    const resolve: Resolve = (_hostname, _options, callback) => {
      // As dns.lookup does it, whatever its types say.
      Reflect.apply(callback, null, [new Error('getaddrinfo ENOTFOUND')]);
    };
    await expect(
      call({ url: 'http://nobody.example.com/' }, { allowPrivateAddresses: false, resolve }),
    ).rejects.toThrow('could not be reached');
  });

  test('a private address, unless the setting allows it', async () => {
    answers('private', {});
    expect(await call({ url: `http://localhost:${port}/` }, { allowPrivateAddresses: true })).toBe('private');
  });
});

describe('tools as an agent has them', () => {
  const issues = (changes: Record<string, unknown>) =>
    toolsSchema.safeParse([{ ...tool(), ...changes }]).error?.issues.map(({ path }) => path.join('.')) ?? [];

  test('are accepted when they can be called', () => {
    expect(issues({ headers: { Authorization: 'Bearer x\ty', 'X-Key': '' } })).toEqual([]);
  });

  test.each<[string, Record<string, unknown>]>([
    ['0.name', { name: 'changePhase' }],
    ['0.name', { name: 'no spaces' }],
    ['0.url', { url: 'file:///etc/passwd' }],
    ['0.headers.Host', { headers: { Host: 'metadata' } }],
    ['0.headers.Content-Length', { headers: { 'Content-Length': '0' } }],
    ['0.headers.X-Key', { headers: { 'X-Key': 'a\r\nHost: b' } }],
    ['0.timeoutSeconds', { timeoutSeconds: 61 }],
  ])('name %s when it cannot be', (path, changes) => {
    expect(issues(changes)).toEqual([path]);
  });
});
