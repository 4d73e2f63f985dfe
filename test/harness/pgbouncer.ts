import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execute } from './database.ts';
import { tcpProxy } from './tcp-proxy.ts';
import { createTemporaryFolder } from './temporary-folder.ts';

/** Whether there is a PgBouncer to try against: Debian's package `pgbouncer`, or its program on the path. */
export const hasPgBouncer = ['pgbouncer', '/usr/sbin/pgbouncer'].some(
  (program) => spawnSync(program, ['-V']).status === 0,
);

export interface PgBouncer {
  /** The URL of the same database, through the pooler. */
  url: string;
  close(): Promise<void>;
}

/** Starts a PgBouncer in transaction mode before a database, with few connections to it. */
export async function startPgBouncer(databaseUrl: string): Promise<PgBouncer> {
  const folder = createTemporaryFolder();
  const proxy = await tcpProxy(databaseUrl);
  const target = new URL(proxy.url);
  const port = await freePort();
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(
    file,
    `[databases]
* = host=127.0.0.1 port=${target.port} user=${decodeURIComponent(target.username)}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
max_client_conn = 200
`,
  );
  // It refuses to run as root.
  chmodSync(folder, 0o755);
  const isRoot = process.getuid?.() === 0;
  const child = spawn(spawnSync('pgbouncer', ['-V']).status === 0 ? 'pgbouncer' : '/usr/sbin/pgbouncer', [
    ...(isRoot ? ['-u', 'nobody'] : []),
    file,
  ]);
  const ended = once(child, 'exit');
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said += data.toString()));
  const url = Object.assign(new URL(target.href), { port: String(port) }).href;
  const close = async () => {
    child.kill('SIGKILL');
    await ended;
    await proxy.close();
    rmSync(folder, { recursive: true, force: true });
  };
  for (let attempt = 0; ; attempt += 1) {
    try {
      await execute(url, 'SELECT');
      return { url, close };
    } catch (error) {
      if (attempt === 100 || child.exitCode !== null) {
        await close();
        throw new Error(`PgBouncer does not answer:\n${said}`, { cause: error });
      }
      await sleep(50);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('not a TCP port');
  return address.port;
}
