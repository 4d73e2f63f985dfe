import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { useServer } from './harness/server.ts';

const server = useServer();
afterEach(() => void vi.useRealTimers());

/** A connection that has sent this, at a time that only the test moves from then on. */
async function having(sent: string): Promise<{ socket: Socket; heard: () => string; ended: Promise<unknown> }> {
  const { hostname, port, host } = new URL(server.url);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const socket = connect({ port: Number(port), host: hostname });
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString('latin1')));
  const ended = once(socket, 'close');
  await once(socket, 'connect');
  socket.write(sent.replace('HOST', host));
  return { socket, heard: () => text, ended };
}

/** Resolves once a condition holds. Time stands still meanwhile. */
const until = (holds: () => boolean) =>
  new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (!holds()) return;
      clearInterval(timer);
      resolve();
    }, 5);
  });

test('a WebSocket that shows no credential is cut off after ten seconds, though its peer does not heed the closing', async () => {
  const { socket, heard, ended } = await having(
    'GET /graphql HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n',
  );
  await until(() => heard().includes('101 Switching Protocols'));
  vi.advanceTimersByTime(9999);
  expect(socket.destroyed).toBe(false);
  vi.advanceTimersByTime(1);
  await ended;
});

test('a request whose body does not arrive within a minute is cut off with 408', async () => {
  const { heard, ended } = await having(
    'POST /graphql HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"query"',
  );
  await until(() => server.services.runningOperations.lately(0).length > 0);
  vi.advanceTimersByTime(59_999);
  expect(heard()).toBe('');
  vi.advanceTimersByTime(1);
  await ended;
  expect(heard()).toMatch(/^HTTP\/1\.1 408 /);
});
