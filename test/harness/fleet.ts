import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { encodeId, newId } from '../../src/ids.ts';
import { type Bundle, bundle } from './bundle.ts';
import { RefusedError, type Target } from './client.ts';
import { createConversation } from './commands.ts';
import { execute } from './database.ts';
import { type Program, type Programs, usePrograms } from './process.ts';
import type { Random } from './random.ts';
import { tcpProxy, type TcpProxy } from './tcp-proxy.ts';

/** A server as a process of its own, with the storyteller among its runtimes. */
export type FleetServer = Program &
  Target & {
    /** Between it and the event bus. */
    readonly bus: TcpProxy;
    /** Between it and the database. */
    readonly database: TcpProxy;
  };

export interface FleetSettings {
  DATABASE_URL: string;
  /** Reached through a proxy, one for each server. */
  EVENTS_URL: string;
  LEASE_SECONDS: string;
}

const KEY = 'key-of-the-servers-of-a-fleet';

/** Several servers on one database, for the tests of this file or suite. No client needs to know which it talks to. */
export class Fleet {
  /** Rejects, with what it said last, when a server ends that nobody has killed. */
  readonly crash: Promise<never>;
  private readonly settings: () => FleetSettings;
  private readonly programs: Programs;
  private readonly running = new Set<FleetServer>();
  private readonly killed = new Set<FleetServer>();
  /** What was answered to requests that were made again, by its name. */
  private readonly failures: string[] = [];
  private onCrash: (error: Error) => void = () => undefined;

  /** `settings` are asked for at each start. */
  constructor(settings: () => FleetSettings) {
    this.settings = settings;
    this.crash = new Promise((_resolve, reject) => (this.onCrash = reject));
    this.crash.catch(() => undefined);
    let program: Bundle | undefined;
    beforeAll(async () => {
      program = await bundle(join('test', 'harness', 'storyteller-server.ts'));
    });
    this.programs = usePrograms({ args: () => [program?.file ?? ''], after: afterAll });
    afterAll(async () => {
      await Promise.all(this.servers.map((server) => this.kill(server)));
      program?.remove();
    });
  }

  /** Those that nobody has killed. */
  get servers(): FleetServer[] {
    return [...this.running];
  }

  wasKilled(server: FleetServer): boolean {
    return this.killed.has(server);
  }

  /** Starts or kills servers until so many run. */
  async resize(count: number): Promise<FleetServer[]> {
    await Promise.all(this.servers.slice(count).map((server) => this.kill(server)));
    await Promise.all(Array.from({ length: count - this.running.size }, () => this.start()));
    return this.servers;
  }

  /** One more server, which has answered once and is not slow any more. Tries again, should the database be away just then. */
  async start(): Promise<FleetServer> {
    const settings = this.settings();
    const bus = await tcpProxy(settings.EVENTS_URL);
    const database = await tcpProxy(settings.DATABASE_URL);
    const env = {
      ...settings,
      DATABASE_URL: database.url,
      EVENTS_URL: bus.url,
      BOOTSTRAP_API_KEY: KEY,
      LOG_LEVEL: 'warn',
    };
    for (let attempt = 1; ; attempt += 1) {
      try {
        const server = Object.assign(await this.programs.start(env), { key: KEY, bus, database });
        await createConversation(server, { runtimeParameters: { wordsPerSecond: 0 }, awaitReply: true });
        this.running.add(server);
        void server.exited.then(() => {
          if (this.running.delete(server)) this.onCrash(new Error(`A server crashed: ${server.stderr.slice(-2000)}`));
        });
        return server;
      } catch (error) {
        if (attempt === 3) throw error;
      }
    }
  }

  /** Ends it as a crash would. */
  async kill(server: FleetServer): Promise<void> {
    this.running.delete(server);
    this.killed.add(server);
    await server.kill('SIGKILL');
    await Promise.all([server.bus.close(), server.database.close()]);
  }

  /** Makes an agent that tells stories, once there has been a server; returns its public id. */
  async createStoryteller(): Promise<string> {
    const id = newId();
    await execute(
      this.settings().DATABASE_URL,
      `INSERT INTO agent (id, organization_id, name, runtime) SELECT '${id}', id, 'Storyteller', 'storyteller' FROM organization`,
    );
    return encodeId('Agent', id);
  }

  summaryOfFailures(): string {
    const names = [...new Set(this.failures)];
    return (
      names.map((name) => `${this.failures.filter((each) => each === name).length} × ${name}`).join(', ') || 'nothing'
    );
  }

  /** Asks any server, and again whenever the answer is that something was not there just now. */
  async ask<T>(random: Random, request: (server: FleetServer) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await request(random.pick(this.servers));
      } catch (error) {
        if (!mayPass(error)) throw error;
        this.failures.push(nameOf(error));
        await sleep(50);
      }
    }
  }
}

function nameOf(error: unknown): string {
  if (error instanceof RefusedError)
    return error.errors.map(({ extensions }) => String(extensions?.code)).join(' and ');
  return 'no answer';
}

const passing = new Set<unknown>(['INTERNAL_SERVER_ERROR', 'SERVICE_UNAVAILABLE']);

/** Whether a request or a stream failed for a reason that may be gone the next time: a lost connection, an internal fault. */
export function mayPass(error: unknown): boolean {
  if (error instanceof RefusedError) {
    return error.errors.every(({ extensions }) => passing.has(extensions?.code));
  }
  // What fetch throws, a request that undici could not have answered, and a closed WebSocket.
  return error instanceof TypeError || isUnanswered(error) || !(error instanceof Error);
}

/** Whether a request came to nothing on its way: the connection was refused, reset or closed. */
function isUnanswered(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^(?:ECONN|EPIPE|UND_ERR_)/.test(String(error.code));
}
