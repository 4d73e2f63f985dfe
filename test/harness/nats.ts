import { connect } from '@nats-io/transport-node';
import { freePort, startProgram } from './other-program.ts';

export interface FoundNats {
  url: string;
  /** Ends it if it was started here. */
  release(): Promise<void>;
}

/** NATS_URL; else the NATS on the usual port; else one started from the `nats-server` program; else nothing. */
export async function findNats(): Promise<FoundNats | undefined> {
  const { NATS_URL: url } = process.env;
  if (url) return { url, release: () => Promise.resolve() };
  const usual = 'nats://127.0.0.1:4222';
  if (await answers(usual)) return { url: usual, release: () => Promise.resolve() };
  return startNats();
}

async function answers(url: string): Promise<boolean> {
  try {
    const connection = await connect({ servers: new URL(url).host, reconnect: false, timeout: 1_000 });
    await connection.close();
    return true;
  } catch {
    return false;
  }
}

async function startNats(): Promise<FoundNats | undefined> {
  const port = await freePort();
  const server = await startProgram('nats-server', ['--addr', '127.0.0.1', '--port', String(port)], /Server is ready/);
  return server && { url: `nats://127.0.0.1:${port}`, release: server.stop };
}
