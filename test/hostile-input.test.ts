import { once } from 'node:events';
import { Agent, type IncomingMessage, request, type RequestOptions } from 'node:http';
import { connect } from 'node:net';
import { afterAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { operationLimits } from '../src/graphql/operation-limits.ts';
import { schema } from '../src/graphql/schema.ts';
import { ask, graphql, RefusedError, type Result, subscribeWs, type Target } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { bomb, damage, Dice, OperationMaker } from './harness/fuzz.ts';
import { megabytes } from './harness/megabytes.ts';
import { countRows } from './harness/rows.ts';
import { type ServerOptions, useServer } from './harness/server.ts';

const config: ServerOptions['config'] = { rateLimitPerKey: 0, rateLimitPerContact: 0, introspection: true };
const server = useServer({ config });

describe('requests that nobody in their right mind would send', () => {
  const seed = Number(process.env.FUZZ_SEED ?? 20_261_122);
  /** Ten thousand run beside the suite. */
  const [LANES, HTTP_REQUESTS, WS_MESSAGES] = [4, 300, 300];
  const agent = new Agent({ keepAlive: true, maxSockets: 2 * LANES });
  afterAll(() => agent.destroy());

  /** What must never happen, each with what led to it. */
  const faults: string[] = [];
  const note = (fault: string, cause: unknown) => {
    const shown = typeof cause === 'string' ? cause : JSON.stringify(cause);
    faults.push(`seed ${seed}: ${fault} after ${shown.slice(0, 1500)}`);
  };

  interface Answer {
    status: number;
    body: string;
  }

  /** Null: the server hung up without an answer. */
  async function http(options: RequestOptions, body: string | Buffer): Promise<Answer | null> {
    const { hostname, port } = new URL(server.url);
    const call = request({ hostname, port, path: '/graphql', method: 'POST', agent, ...options });
    call.on('error', () => undefined);
    call.setTimeout(10_000, () => call.destroy());
    try {
      call.end(body);
      const [response] = (await once(call, 'response')) as [IncomingMessage];
      // A stream may have no end.
      if (response.headers['content-type']?.startsWith('text/event-stream')) response.destroy();
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() };
    } catch {
      return null;
    }
  }

  function makers(lane: number, ids: readonly string[]) {
    const dice = new Dice(seed + lane);
    return { dice, operations: new OperationMaker(schema, dice, ids) };
  }

  async function httpLane(lane: number, ids: readonly string[], count: number): Promise<void> {
    const { dice, operations } = makers(lane, ids);
    const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${server.key}` };
    for (let i = 0; i < count; i += 1) {
      const operation = operations.make();
      const json = JSON.stringify(operation);
      const [options, body] = dice.of<() => [RequestOptions, string | Buffer]>([
        ...Array.from({ length: 10 }, () => (): [RequestOptions, string] => [{ headers }, json]),
        () => [{ headers }, JSON.stringify({ ...operation, query: damage(operation.query, dice) })],
        () => [{ headers }, JSON.stringify({ query: bomb(dice) })],
        () => [{ headers }, damage(json, dice)],
        () => [{ headers }, json.slice(0, dice.below(json.length))],
        () => [{ headers }, Buffer.from(Array.from({ length: 1 + dice.below(200) }, () => dice.below(256)))],
        () => [
          { headers },
          dice.of([
            'null',
            '[]',
            '1',
            '"a"',
            '[{"query":"{ viewer { kind } }"}]',
            '{"query":5}',
            '{"query":null}',
            '{"query":"{ viewer { kind } }","variables":[1]}',
            '{"query":"{ viewer { kind } }","variables":"a"}',
            '{"query":"{ viewer { kind } }","operationName":5}',
            '{"query":"{ viewer { kind } }","operationName":"Nope"}',
            '{"query":"{ viewer { kind } }","extensions":1}',
            '{"query":"{ viewer { kind } }","__proto__":{"a":1},"extra":1}',
            `${'['.repeat(50_000)}${']'.repeat(50_000)}`,
            `{"query":"{ viewer { kind } }","variables":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`,
          ]),
        ],
        () => [
          {
            headers: {
              ...headers,
              ...dice.of<Record<string, string>>([
                { 'X-Long': 'x'.repeat(20_000) },
                Object.fromEntries(Array.from({ length: 150 }, (_, at) => [`X-${at}`, 'y'])),
                { Accept: '*/*;q=NaN,text/event-stream,'.repeat(100) },
                { 'Content-Type': 'application/json; charset=klingon' },
                { 'Content-Type': 'multipart/form-data; boundary=' },
                { 'Content-Type': 'application/graphql' },
                { 'Content-Encoding': 'gzip' },
                { Authorization: `Bearer ${'a'.repeat(5_000)}` },
                { Authorization: 'Bearer eyJhbGciOiJub25lIn0.eyJvcmciOiIxIn0.x' },
                { Authorization: `Bearer a.${Buffer.from('{"org":[],"exp":1e999}').toString('base64url')}.c` },
                { Cookie: 'parley=; '.repeat(300) },
                { Host: 'a:b:c' },
              ]),
            },
          },
          json,
        ],
        () => [{ headers, method: dice.of(['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE']) }, ''],
        () => [
          {
            headers,
            method: 'GET',
            path: dice.of([
              '//',
              '/graphql?query=%',
              '/graphql?query=%7Bviewer%7Bkind%7D%7D&variables=%5B',
              '/graphql?query=%ff&variables=null',
              `/graphql?query=${'a'.repeat(8_000)}`,
              '/%00',
              '/graphql/../graphql',
              'http://[/graphql',
            ]),
          },
          '',
        ],
      ])();
      const answer = await http(options, body);
      if (answer && (answer.status >= 500 || answer.body.includes('INTERNAL_SERVER_ERROR'))) {
        note(`HTTP ${answer.status} ${answer.body.slice(0, 300)}`, [options, body.toString()]);
      }
    }
  }

  async function open(): Promise<WebSocket> {
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    socket.on('error', () => undefined);
    await once(socket, 'open');
    const acknowledged = once(socket, 'message');
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${server.key}` } }));
    await acknowledged;
    return socket;
  }

  interface Reply {
    id?: string;
    type: string;
    payload?: unknown;
  }

  async function webSocketLane(lane: number, ids: readonly string[], count: number): Promise<void> {
    const { dice, operations } = makers(lane, ids);
    let socket = await open();
    let last: unknown;
    const listen = (to: WebSocket) => {
      to.on('close', (code, reason) => {
        if (code === 1006 || code === 1011 || code === 4500) note(`close ${code} ${reason.toString()}`, last);
      });
      to.on('message', (data: Buffer) => {
        const text = data.toString();
        if (text.includes('INTERNAL_SERVER_ERROR')) note(text.slice(0, 400), last);
      });
    };
    listen(socket);
    /** Resolves when the server has answered, or hung up. */
    const answered = (isAnswer: (reply: Reply) => boolean) =>
      new Promise<void>((resolve) => {
        const done = () => {
          socket.off('message', take);
          socket.off('close', done);
          resolve();
        };
        const take = (data: Buffer) => {
          if (isAnswer(JSON.parse(data.toString()) as Reply)) done();
        };
        socket.on('message', take);
        socket.on('close', done);
      });
    for (let i = 0; i < count; i += 1) {
      if (socket.readyState !== WebSocket.OPEN) {
        socket = await open();
        listen(socket);
      }
      const id = String(i);
      const { kind, query, variables } = operations.make();
      const subscribe = (payload: unknown) => JSON.stringify({ id, type: 'subscribe', payload });
      const choice = dice.below(20);
      if (choice < 15) {
        const payload = choice === 0 ? { query: damage(query, dice), variables } : { query, variables };
        last = payload;
        const answer = answered((reply) => reply.id === id || reply.type === 'pong');
        socket.send(subscribe(choice === 1 ? { query: bomb(dice) } : payload));
        if (kind === 'subscription') {
          if (dice.chance(0.9)) socket.send(JSON.stringify({ id, type: 'complete' }));
          socket.send('{"type":"ping"}');
        }
        await answer;
        if (kind === 'subscription') socket.send(JSON.stringify({ id, type: 'complete' }));
        continue;
      }
      const message = dice.of<() => string | Buffer>([
        () => subscribe({ query: '{ viewer { kind } }' }).slice(0, 30 + dice.below(20)),
        () => subscribe({ query: 5 }),
        () => subscribe({ query: '{ viewer { kind } }', variables: [1] }),
        () => subscribe({ query: '{ viewer { kind } }', operationName: 'Nope' }),
        () => subscribe({ query, variables: nestedText(dice) }),
        () => JSON.stringify({ id: '', type: 'subscribe', payload: { query: '{ viewer { kind } }' } }),
        () => JSON.stringify({ type: 'subscribe', payload: { query: '{ viewer { kind } }' } }),
        () => JSON.stringify({ id: 'nobody', type: 'complete' }),
        () => '{"type":"connection_init"}',
        () => '{"type":"pong","payload":{"a":1}}',
        () => '{"type":"__proto__"}',
        () => 'null',
        () => '[]',
        () => '\ufeff\u0000',
        () => Buffer.from([0xff, 0xfe, 0x00, dice.below(256)]),
      ])();
      last = message.toString();
      const answer = answered((reply) => reply.type === 'pong');
      socket.send(message);
      socket.send('{"type":"ping"}');
      await answer;
    }
    socket.close();
  }

  function nestedText(dice: Dice): unknown {
    return { a: Array.from({ length: dice.below(50) }, () => dice.of(['\ud800', '\u0000', 1e308, null])) };
  }

  /** Frames that are none, on a connection that has been upgraded. */
  async function brokenFrames(count: number): Promise<void> {
    const dice = new Dice(seed);
    const { hostname, port } = new URL(server.url);
    const upgrade = (path: string) =>
      `GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n' +
      'Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n';
    for (let i = 0; i < count; i += 1) {
      const tcp = connect(Number(port), hostname);
      tcp.on('error', () => undefined);
      tcp.setTimeout(5_000, () => tcp.destroy());
      const closed = once(tcp, 'close');
      tcp.resume();
      tcp.write(upgrade('/graphql'));
      tcp.write(
        Buffer.from([
          dice.below(256),
          dice.below(256),
          ...Array.from({ length: dice.below(40) }, () => dice.below(256)),
        ]),
      );
      tcp.end();
      await closed;
    }
  }

  test(
    'are all answered or refused, without an internal fault, while others are served',
    { timeout: 300_000 },
    async () => {
      const { conversation, cursor } = await createConversation(server, { action: 'NONE' });
      const { message } = await send(server, {
        conversationId: conversation.id,
        content: { text: 'Hello.' },
        action: 'NONE',
      });
      const { agents } = await ask<{ agents: { nodes: { id: string }[] } }>(server, '{ agents { nodes { id } } }');
      const ids = [conversation.id, message.id, cursor, ...agents.nodes.map(({ id }) => id), 'conv_', 'Q29udjox'];
      // What is made once, such as compiled queries, is no growth.
      await Promise.all([httpLane(1000, ids, 100), webSocketLane(1001, ids, 100)]);
      const before = megabytes();

      let running = true;
      let served = 0;
      const others = (async () => {
        while (running) {
          const { status, data } = await graphql<{ viewer: { kind: string } }>(server, '{ viewer { kind } }');
          if (status !== 200 || data?.viewer.kind !== 'API_KEY') note(`a normal request got ${status}`, '');
          served += 1;
        }
      })();
      await Promise.all([
        brokenFrames(100),
        ...Array.from({ length: LANES }, (_, lane) => httpLane(lane, ids, (HTTP_REQUESTS - 100) / LANES)),
        ...Array.from({ length: LANES }, (_, lane) => webSocketLane(LANES + lane, ids, (WS_MESSAGES - 100) / LANES)),
      ]);
      running = false;
      await others;
      expect(faults, `FUZZ_SEED=${seed}`).toEqual([]);
      expect(served).toBeGreaterThan(20);
      // Streams that were left end first.
      await expect.poll(() => server.services.feedRegistry.size, { timeout: 20_000 }).toBe(0);
      expect(megabytes() - before).toBeLessThan(64);
    },
  );
});

/** A mutation that would write, with more in its selection. */
function mutation(more: string, variables = ''): string {
  return `mutation${variables} { createConversation(input: {}) { ... on CreateConversationPayload { conversation { ${more} } } } }`;
}

const around = (levels: number, inner: string) =>
  `${'lastMessage { conversation { '.repeat(levels)}${inner}${' } }'.repeat(levels)}`;

const page = (size: string) =>
  `messages(first: ${size}) { nodes { conversation { messages(first: ${size}) { nodes { id role } } } } }`;

const excesses: [string, string, Record<string, unknown>][] = [
  ['fields below each other', mutation(around(operationLimits.depth / 2, 'id')), {}],
  [
    'fields below each other in fragments',
    `${mutation('...A')} fragment A on Conversation { ${around(4, '...B')} } fragment B on Conversation { ${around(4, 'id')} }`,
    {},
  ],
  ['aliases', mutation(Array.from({ length: operationLimits.fields }, (_, i) => `a${i}: id`).join(' ')), {}],
  [
    'fields by fragments that double',
    `${mutation('...F0')} ${Array.from({ length: 12 }, (_, i) => `fragment F${i} on Conversation { ...F${i + 1} ...F${i + 1} }`).join(' ')} fragment F12 on Conversation { id }`,
    {},
  ],
  ['tokens', mutation('id '.repeat(operationLimits.tokens)), {}],
  ['fields times page sizes', mutation(page('100')), {}],
  ['fields times page sizes in variables', mutation(page('$n'), '($n: Int!)'), { n: 100 }],
  ['fields times page sizes by default', mutation(page('$n'), '($n: Int = 100)'), {}],
];

/** The first result of an operation, or why it was refused. */
async function overWebSocket(
  target: Target,
  query: string,
  variables?: Record<string, unknown>,
): Promise<Partial<Result<unknown>>> {
  try {
    for await (const data of subscribeWs<unknown>(target, query, variables)) return { data };
  } catch (error) {
    if (error instanceof RefusedError) return { errors: [...error.errors] };
    throw error;
  }
  return {};
}

describe('too many', () => {
  const written = () => countRows(server.services.pool);

  test.each(excesses)('%s are refused before anything runs', async (_what, query, variables) => {
    const before = await written();
    const { errors, data } = await graphql(server, query, variables);
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }].slice(0, errors?.length));
    expect(errors?.every(({ extensions }) => extensions?.code === 'BAD_USER_INPUT')).toBe(true);
    expect(data ?? null).toBeNull();

    const refusal = await overWebSocket(server, query, variables);
    expect(refusal).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
    expect(await written()).toEqual(before);
  });

  test.each([
    ['HTTP', graphql],
    ['WebSocket', overWebSocket],
  ])(
    'fields times page sizes are refused over %s of a document that was fine with smaller ones',
    async (_how, call) => {
      const query = `query ($n: Int!) { conversations(first: 1) { nodes { ${page('$n')} } } }`;
      expect(await call(server, query, { n: 2 })).toMatchObject({ data: { conversations: {} } });
      const { errors } = await call(server, query, { n: 100 });
      expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
      expect(await call(server, query, { n: 2 })).toMatchObject({ data: { conversations: {} } });
    },
  );
});

test('what is just within the limits of an operation is served', async () => {
  const aliases = Array.from({ length: 990 }, (_, i) => `a${i}: __typename`).join(' ');
  expect(await graphql(server, `{ viewer { kind } ${aliases} }`)).toMatchObject({ status: 200 });
  const { errors } = await graphql(server, `{ conversations(first: 1) { nodes { ${around(6, 'id')} } } }`);
  expect(errors).toBeUndefined();
});

describe('with introspection off', () => {
  const closed = useServer({ config: { introspection: false } });

  test.each(['{ __schema { types { name } } }', '{ __type(name: "Query") { name } }'])(
    '%s is refused',
    async (query) => {
      for (const call of [graphql, overWebSocket]) {
        // The same document, where it may be asked.
        expect(await call(server, query)).toMatchObject({ data: {} });
        expect((await call(closed, query)).errors?.[0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } });
      }
      expect(await graphql(closed, '{ __typename viewer { __typename } }')).toMatchObject({ status: 200 });
    },
  );

  test('GraphiQL is not served', async () => {
    const response = await fetch(`${closed.url}/graphql`, { headers: { Accept: 'text/html' } });
    expect(response.status).not.toBe(200);
    expect(await response.text()).not.toContain('<html');
  });
});
