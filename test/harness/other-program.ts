import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';

/** Starts a program that may not be installed. Undefined if it ends before it says that it is ready, on either output. */
export async function startProgram(
  program: string,
  args: string[],
  ready: RegExp,
): Promise<{ stop: () => Promise<void> } | undefined> {
  const server = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = new Promise<void>((resolve) => {
    server.once('exit', () => resolve());
    server.once('error', () => resolve());
  });
  const says = async (output: typeof server.stdout) => {
    for await (const line of createInterface(output)) if (ready.test(line)) return;
    await new Promise(() => undefined);
  };
  const isReady = Promise.race([says(server.stdout), says(server.stderr)]).then(() => true);
  if (!(await Promise.race([isReady, ended.then(() => false)]))) return undefined;
  server.stdout.resume();
  server.stderr.resume();
  return {
    stop: () => {
      server.kill();
      return ended;
    },
  };
}

/** A port of this machine on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('not a TCP port');
  return address.port;
}
