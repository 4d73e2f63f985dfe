import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { type afterAll, afterEach, inject } from 'vitest';

/** The real program as a process of its own. */
export interface Program {
  /** Where it says it listens; empty before. */
  readonly url: string;
  readonly pid: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Its exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Sends a signal; resolves when the program has ended. */
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>;
  /** Stops it as it stands, without a word to anybody. */
  freeze(): void;
  /** Lets it go on. */
  thaw(): void;
}

export interface Programs {
  /** Starts the program and waits until it answers; throws when it ends before. */
  start(env: Record<string, string>): Promise<Program>;
  /** Starts the program and waits for nothing. */
  spawn(env: Record<string, string>): Program;
}

export interface ProgramOptions {
  /** What Node runs, from the root of the repository, instead of the program as one file; asked at each start. */
  args?: () => string[];
  /** Where it runs. Default: the root of the repository. */
  cwd?: string;
  /** When what still runs is killed. */
  after?: typeof afterEach | typeof afterAll;
}

const root = join(import.meta.dirname, '..', '..');

/** What Node runs for `npm start`. It starts more slowly than the program as one file. */
export const fromSources = () => ['--import', 'tsx', join('src', 'main.ts')];

/** Starts the program any number of times; what a test leaves running is killed after it, or when `after` says. */
export function usePrograms(options: ProgramOptions = {}): Programs {
  const { args = () => [inject('program')], cwd = root, after = afterEach } = options;
  const running = new Set<ChildProcess>();
  after(async () => {
    await Promise.all([...running].map((child) => kill(child, 'SIGKILL')));
  });
  function run(env: Record<string, string>): Running {
    const { PATH = '', HOME = '' } = process.env;
    const child = spawn(process.execPath, args(), {
      cwd,
      env: { PATH, HOME, HOST: '127.0.0.1', PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    void once(child, 'exit').then(() => running.delete(child));
    return new Running(child);
  }
  return {
    spawn: run,
    async start(env) {
      const program = run(env);
      await program.announced();
      const response = await fetch(`${program.url}/health`);
      if (!response.ok) throw new Error(`/health answers ${response.status}.`);
      return program;
    },
  };
}

class Running implements Program {
  stdout = '';
  stderr = '';
  readonly exited: Promise<number | NodeJS.Signals>;
  private readonly child: ChildProcess;

  constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (this.stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text));
    // Not `exit`, which may come before the last output.
    this.exited = once(child, 'close').then(() => child.exitCode ?? child.signalCode ?? 'SIGKILL');
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get url(): string {
    return /https?:\/\/[^\s/]+:\d+/.exec(this.stdout)?.[0] ?? '';
  }

  /** Resolves when it has said where it listens. */
  async announced(): Promise<void> {
    const { stdout } = this.child;
    const isListening = () => this.url !== '';
    while (stdout && !isListening()) {
      const ended = this.exited.then(() => true);
      const hasEnded = await Promise.race([ended, once(stdout, 'data').then(() => false)]);
      if (hasEnded && !isListening()) throw new Error(`The program ended:\n${this.stdout}${this.stderr}`);
    }
  }

  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    void kill(this.child, signal);
    return this.exited;
  }

  freeze(): void {
    this.child.kill('SIGSTOP');
  }

  thaw(): void {
    this.child.kill('SIGCONT');
  }
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}
