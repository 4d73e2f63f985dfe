import { StartupError } from './errors.ts';

/** A second signal this soon is an echo of the first, in milliseconds: a terminal also sends Ctrl-C to npm, which passes it on. */
const ECHO_MS = 500;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Listens for the signals that end the process. Created before anything is opened, so that no signal comes too early. */
export class Termination {
  private readonly begun = new AbortController();
  private readonly hurried = new AbortController();
  private first: { name: NodeJS.Signals; at: number } | undefined;

  constructor() {
    for (const name of signals) process.on(name, () => this.hear(name));
  }

  /** Aborts with the first signal. */
  get signal(): AbortSignal {
    return this.begun.signal;
  }

  /** Aborts at the second signal, whose sender does not want to wait. */
  get hurry(): AbortSignal {
    return this.hurried.signal;
  }

  /** The first signal's name. */
  get name(): NodeJS.Signals | undefined {
    return this.first?.name;
  }

  private hear(name: NodeJS.Signals): void {
    if (!this.first) {
      this.first = { name, at: performance.now() };
      this.begun.abort(new StartupError(`${name}: the start was broken off.`));
    } else if (performance.now() > this.first.at + ECHO_MS) {
      this.hurried.abort();
    }
  }
}
