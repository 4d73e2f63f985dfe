import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { useServer } from '../harness/server.ts';

const server = useServer({ config: { keepAliveSeconds: 1 } });

test('a connection whose headers never end is cut off with 408, though it goes on', async () => {
  const { hostname, port } = new URL(server.url);
  const socket = connect({ port: Number(port), host: hostname });
  let heard = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => (heard += chunk.toString()));
  const ended = once(socket, 'close');
  socket.write('GET /health HTTP/1.1\r\nX: ');
  const dripping = setInterval(() => socket.write('x'), 200);
  try {
    await ended;
  } finally {
    clearInterval(dripping);
  }
  expect(heard).toMatch(/^HTTP\/1\.1 408 /);
});

test('an idle connection is not kept', async () => {
  const { hostname, port, host } = new URL(server.url);
  const socket = connect({ port: Number(port), host: hostname });
  let heard = '';
  socket.on('data', (chunk) => (heard += chunk.toString()));
  socket.write(`GET /health HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  await once(socket, 'close');
  expect(heard).toMatch(/^HTTP\/1\.1 200 /);
});
