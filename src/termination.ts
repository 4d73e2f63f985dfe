import { StartupError } from './errors.ts';

/** A signal so soon after the first is its echo: a terminal sends Ctrl-C to npm too, which passes it on. In milliseconds. */
const ECHO_MS = 500;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Hears the signals that end the process. Made before anything is opened, so that none finds the process unprepared. */
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

  /** Aborts with the second signal: whoever sent it does not want to wait. */
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
