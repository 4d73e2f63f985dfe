import { once } from 'node:events';
import { connect, createServer, type NetConnectOpts, type Socket } from 'node:net';
import { parse } from 'pg-connection-string';

/** A TCP proxy before a PostgreSQL or Redis server, whose connections can be cut or fall silent. */
export interface TcpProxy {
  /** The server's URL, leading through the proxy. */
  url: string;
  /** Cuts all connections and refuses new ones. */
  cut(): void;
  /** Keeps the present connections open, but nothing passes any more; of all, or of so many, the oldest first. */
  silence(count?: number): void;
  /** Holds back what the server sends from now on, until the returned function is called. */
  holdAnswers(): () => void;
  /** Lets new connections pass again. */
  heal(): void;
  close(): Promise<void>;
}

export async function tcpProxy(url: string): Promise<TcpProxy> {
  const target = addressOf(url);
  const sockets = new Set<Socket>();
  /** By the end at the server, that at the client. */
  const answering = new Map<Socket, Socket>();
  let refusing = false;
  const server = createServer((near) => {
    if (refusing) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(target);
    answering.set(far, near);
    far.on('close', () => answering.delete(far));
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not a TCP port');
  const destroyAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: rerouted(url, address.port),
    cut() {
      refusing = true;
      destroyAll();
    },
    silence(count = Infinity) {
      // Those of one connection stand one after the other.
      for (const socket of [...sockets].slice(0, 2 * count)) {
        socket.unpipe();
        socket.pause();
      }
    },
    holdAnswers() {
      for (const [far, near] of answering) far.unpipe(near);
      return () => {
        for (const [far, near] of answering) far.pipe(near);
      };
    },
    heal() {
      refusing = false;
    },
    async close() {
      destroyAll();
      server.close();
      await once(server, 'close');
    },
  };
}

function addressOf(url: string): NetConnectOpts {
  if (url.startsWith('redis')) {
    const { hostname, port } = new URL(url);
    return { host: hostname, port: Number(port || 6379) };
  }
  const { host, port } = parse(url);
  return host?.startsWith('/')
    ? { path: `${host}/.s.PGSQL.${port ?? 5432}` }
    : { host: host ?? '127.0.0.1', port: Number(port ?? 5432) };
}

function rerouted(url: string, port: number): string {
  const target = new URL(url.replace('@/', '@localhost/'));
  target.searchParams.delete('host');
  target.searchParams.delete('port');
  target.hostname = '127.0.0.1';
  target.port = String(port);
  return target.href;
}
