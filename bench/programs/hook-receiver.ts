// Endpoints of webhooks: one that answers at once, and one that takes 15 s.
import { createServer } from 'node:http';
import { z } from 'zod';
import { listen } from '../listen.ts';
import { obey } from '../process.ts';

export type HookReceiverCommands = {
  address(argument: null): Promise<{ url: string; slowUrl: string }>;
  /** Forgets what has come. */
  begin(argument: null): Promise<void>;
  /** Resolves when so many have come to the quick endpoint. */
  until(argument: { count: number }): Promise<Came>;
};

export interface Came {
  bodies: string[];
  /** Milliseconds from the event to its arrival. */
  delays: number[];
}

const event = z.object({ timestamp: z.string() });
const SLOW_MS = 15_000;

let came: Came = { bodies: [], delays: [] };
let onCome = () => {};

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.url === '/slow') {
      setTimeout(() => response.writeHead(204).end(), SLOW_MS).unref();
      return;
    }
    response.writeHead(204).end();
    const body = Buffer.concat(chunks).toString();
    came.bodies.push(body);
    came.delays.push(Date.now() - Date.parse(event.parse(JSON.parse(body)).timestamp));
    onCome();
  });
});

const listening = listen(server);

const commands: HookReceiverCommands = {
  async address() {
    const url = await listening;
    return { url: `${url}/quick`, slowUrl: `${url}/slow` };
  },
  begin() {
    came = { bodies: [], delays: [] };
    return Promise.resolve();
  },
  async until({ count }) {
    await new Promise<void>((resolve) => {
      onCome = () => {
        if (came.bodies.length >= count) resolve();
      };
      onCome();
    });
    return came;
  },
};
obey(commands, () => {
  server.closeAllConnections();
  server.close();
  return Promise.resolve();
});
