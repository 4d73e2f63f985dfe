import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startApp } from '../src/app.ts';
import { readConfig, SettingsError } from '../src/config.ts';
import { StartupError } from '../src/errors.ts';
import { createLogger } from '../src/logger.ts';
import { graphql } from './harness/client.ts';
import { execute, useDatabase } from './harness/database.ts';
import { ModelServer, refuses } from './harness/model-server.ts';
import { usePrograms } from './harness/process.ts';
import { tcpProxy } from './harness/tcp-proxy.ts';

const database = useDatabase();
const programs = usePrograms();
const model = new ModelServer(refuses(400, { body: { error: { message: 'The model is not in the mood.' } } }));
beforeAll(() => model.start());
afterAll(() => model.close());

/** What must be seen nowhere; each names where it was put. */
const canary = (place: string) => `CANARY-${place}-6d1f`;
const seen = (output: string) => [...new Set(output.match(/CANARY-[\w-]+-6d1f/g) ?? [])];

// It logs all that the others do.
const LOG_LEVEL = 'trace';

test('no secret and no content is in the logs or in an error, whatever goes wrong', { timeout: 120_000 }, async () => {
  const proxy = await tcpProxy(database.url);
  const withPassword = new URL(proxy.url);
  withPassword.password = canary('database-password');
  const key = canary('api-key');
  const program = await programs.start({
    LOG_LEVEL,
    DATABASE_URL: withPassword.href,
    EVENTS_URL: 'memory:',
    BOOTSTRAP_API_KEY: key,
    PARLEY_MODEL_URL: `${model.url}/v1`,
    PARLEY_MODEL_API_KEY: canary('model-key'),
    PARLEY_MODEL: 'fake',
    RATE_LIMIT_PER_KEY: '0',
    GRACE_SECONDS: '0',
  });
  const target = { url: program.url, key };
  const refusals: string[] = [];
  const tell = async <T>(query: string, variables: Record<string, unknown> = {}, as = key) => {
    const result = await graphql<T>({ ...target, key: as }, query, variables);
    if (result.errors) refusals.push(JSON.stringify(result));
    return result;
  };
  const created = await tell<{ createAgent: { agent: { id: string } } }>(
    `mutation ($input: CreateAgentInput!) {
        createAgent(input: $input) { ... on CreateAgentPayload { agent { id } } ... on UserError { detail } } }`,
    {
      input: {
        name: 'A',
        runtime: 'model',
        systemPrompt: canary('system-prompt'),
        tools: [
          {
            name: 'tool',
            description: 'A tool.',
            url: 'https://example.com/',
            headers: { Authorization: canary('tool-header') },
          },
        ],
      },
    },
  );
  const agentId = created.data?.createAgent.agent.id;
  expect(agentId).toMatch(/^agent_/);
  const started = await tell<{ createConversation: { conversation: { id: string } } }>(
    `mutation ($input: CreateConversationInput!) {
        createConversation(input: $input) { ... on CreateConversationPayload { conversation { id } } } }`,
    { input: { agentId, metadata: { secret: canary('metadata') }, action: 'NONE' } },
  );
  const conversationId = started.data?.createConversation.conversation.id;
  expect(conversationId).toMatch(/^conv_/);
  const minted = await tell<{ createClientToken: { token: string } }>(
    `mutation ($id: ID!) {
        createClientToken(input: { for: { conversationId: $id } }) { ... on CreateClientTokenPayload { token } } }`,
    { id: conversationId },
  );
  const token = minted.data?.createClientToken.token ?? '';
  expect(token).not.toBe('');
  const sendMessage = `mutation ($input: SendMessageInput!) {
      sendMessage(input: $input) { __typename ... on UserError { detail } ... on SendMessagePayload { reply { status } } } }`;
  const input = {
    conversationId,
    content: { text: canary('message') },
    contentPayload: { a: canary('message-metadata') },
    idempotencyKey: canary('idempotency-key'),
    awaitReply: true,
  };
  // The model refuses what it is asked.
  expect(await tell(sendMessage, { input })).toMatchObject({
    data: { sendMessage: { reply: { status: 'ERROR' } } },
  });
  await tell(sendMessage, { input: { ...input, content: { text: canary('another-message') } } });

  // Bad input of every kind, wrong credentials.
  await tell(sendMessage, { input: { ...input, conversationId: 5, onBusy: canary('value') } });
  await tell(sendMessage, { input: { ...input, content: { text: { password: canary('variable') } } } });
  await tell(`{ viewer { kind } password(is: "${canary('query-text')}") }`);
  await tell(`{ viewer { kind } "${canary('syntax')}`);
  await tell('{ viewer { kind } }', {}, canary('wrong-key'));
  await tell('{ viewer { kind } }', {}, `${canary('header')}.${canary('payload')}.${canary('signature')}`);
  await tell('mutation { createAgent(input: { name: "x" }) { __typename } }', {}, token);

  // Internal faults: of a statement that the database refuses with the row in its words, and of a query.
  await execute(database.url, `ALTER TABLE message ADD CONSTRAINT broken CHECK (position < 0) NOT VALID`);
  const broken = await tell(sendMessage, {
    input: {
      ...input,
      idempotencyKey: canary('second-key'),
      content: { text: canary('refused-row') },
    },
  });
  await execute(database.url, 'ALTER TABLE message DROP CONSTRAINT broken');
  expect(broken).toMatchObject({ errors: [{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }] });
  await execute(database.url, 'ALTER TABLE conversation RENAME COLUMN title TO gone');
  const search = `query ($keyword: String) { conversations(filter: { keyword: $keyword }) { nodes { lastMessage { text } } } }`;
  expect(await tell(search, { keyword: canary('keyword') })).toMatchObject({
    errors: [{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }],
  });
  await execute(database.url, 'ALTER TABLE conversation RENAME COLUMN gone TO title');

  proxy.cut();
  await tell(sendMessage, { input: { ...input, idempotencyKey: canary('third-key') } });
  await tell(search, { keyword: canary('keyword') });
  proxy.heal();
  await program.kill('SIGTERM');
  await proxy.close();

  const output = program.stdout + program.stderr;
  expect(program.stderr).toContain('internal error');
  expect(seen(output)).toEqual([]);
  expect(output).not.toContain(token);
  expect(refusals.length).toBeGreaterThan(8);
  // Whoever sends a value of the wrong type is told which one it was.
  expect(seen(refusals.join('\n'))).toEqual([canary('value'), canary('variable')]);
});

test('no password of a Redis that refuses it', async () => {
  const sockets = new Set<Socket>();
  const redis = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write('-WRONGPASS invalid username-password pair or user is disabled.\r\n'));
  }).listen(0, '127.0.0.1');
  await once(redis, 'listening');
  const address = redis.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const program = programs.spawn({
    LOG_LEVEL,
    DATABASE_URL: database.url,
    EVENTS_URL: `redis://user:${canary('redis-password')}@127.0.0.1:${port}/0`,
    BOOTSTRAP_API_KEY: canary('api-key'),
  });
  try {
    expect(await program.exited).not.toBe(0);
    expect(program.stderr).not.toBe('');
    expect(seen(program.stdout + program.stderr)).toEqual([]);
  } finally {
    for (const socket of sockets) socket.destroy();
    redis.close();
  }
});

test.each<Record<string, string>>([
  { DATABASE_URL: `postgres://user:${canary('database')}%zz@localhost/db` },
  { DATABASE_URL: `mysql://user:${canary('database')}@localhost/db` },
  { DATABASE_URL: `postgres://user:${canary('database')}@127.0.0.1:1/db` },
  { EVENTS_URL: `amqp://user:${canary('events')}@localhost`, DATABASE_URL: 'postgres://127.0.0.1:1/db' },
  { BOOTSTRAP_API_KEY: `${canary('key')} with a space` },
  { PARLEY_MODEL_API_KEY: `${canary('model')} with a space` },
  { PARLEY_MODEL_URL: `https://user:${canary('model')}@example.com` },
])('settings that cannot be used are refused without their secrets: %o', async (settings) => {
  let logged = '';
  const logger = createLogger({ level: LOG_LEVEL, plain: false, destination: { write: (line) => (logged += line) } });
  for (const others of [{ PORT: 'none' }, {}]) {
    const env = { PORT: '0', DATABASE_URL: 'postgres://127.0.0.1:1/db', ...settings, ...others };
    const start = async () => startApp(readConfig(env), logger);
    const error: unknown = await start().catch((thrown: unknown) => thrown);
    // Of these errors the program shows the message alone.
    if (!(error instanceof SettingsError || error instanceof StartupError)) throw new Error('It was not refused.');
    expect(seen(error.message + logged)).toEqual([]);
  }
});
