import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** What a program can be told, each with one argument. Arguments and results cross as JSON. */
export type Commands = Record<string, (argument: never) => Promise<unknown>>;

interface Call {
  id: number;
  command: string;
  argument: unknown;
}

type Answer = { id: number; result?: unknown } | { id: number; fault: string };

/** A program of `programs/` in a process of its own, which ends with this one. */
export class Program<C extends Commands> {
  private readonly child: ChildProcess;
  private readonly name: string;
  private readonly calls = new Map<number, { resolve: (result: unknown) => void; reject: (error: Error) => void }>();
  private count = 0;

  constructor(name: string, env: Record<string, string> = {}) {
    this.name = name;
    this.child = fork(fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url)), {
      execArgv: ['--import', new URL('load-plainly.mjs', import.meta.url).href],
      // As in production, where graphql-js leaves out checks for developers.
      env: { ...process.env, NODE_ENV: 'production', ...env },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.child.on('message', (answer: Answer) => {
      const call = this.calls.get(answer.id);
      this.calls.delete(answer.id);
      if ('fault' in answer) call?.reject(new Error(`${name}: ${answer.fault}`));
      else call?.resolve(answer.result);
    });
    this.child.on('exit', () => this.giveUp(new Error(`The program ${name} has ended.`)));
  }

  /** Has a command carried out. Rejects when it throws there, or the program ends. */
  async call<K extends keyof C & string>(
    command: K,
    argument: Parameters<C[K]>[0],
  ): Promise<Awaited<ReturnType<C[K]>>> {
    if (!this.child.connected) throw new Error(`The program ${this.name} has ended.`);
    const id = (this.count += 1);
    const result = new Promise<unknown>((resolve, reject) => this.calls.set(id, { resolve, reject }));
    const call: Call = { id, command, argument };
    this.child.send(call);
    // The type of the commands is what both ends have agreed on.
    return (await result) as Awaited<ReturnType<C[K]>>;
  }

  /** Ends the program, which puts away what it has opened. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    if (this.child.connected) this.child.disconnect();
    const deadline = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    await exited;
    clearTimeout(deadline);
  }

  private giveUp(error: Error): void {
    for (const { reject } of this.calls.values()) reject(error);
    this.calls.clear();
  }
}

/** Has this process, a program, obey its commands until whoever started it is gone. */
export function obey(commands: Commands, close: () => Promise<void> = () => Promise.resolve()): void {
  const answer = (message: Answer) => process.connected && process.send?.(message);
  process.on('message', ({ id, command, argument }: Call) => {
    const run = commands[command];
    if (!run) return answer({ id, fault: `There is no command ${command}.` });
    run(argument as never).then(
      (result) => answer({ id, result }),
      (error: unknown) =>
        answer({ id, fault: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  process.once('disconnect', () => {
    close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  });
  // These may go to all processes of the group; the one that started this sees to the end.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => undefined);
}
