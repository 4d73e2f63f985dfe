/** The lanes of the queue. */
export const lanes = ['quick', 'post', 'mail', 'long'] as const;

/**
 * `quick` for what takes seconds, such as an HTTP request; `post` for letters that come in; `mail` for those that go out, which
 * wait for a mail server; `long` for what may take
 * minutes. None waits for another.
 */
export type Lane = (typeof lanes)[number];

/** A kind of work. Whoever adds such work needs only this, and not the code that does it. */
export interface Task<P> {
  /** Unique, and kept in the database: servers of the last release and the next must agree on it. */
  name: string;
  lane: Lane;
  /** Checks a payload as it was stored. Throws if it is not one. */
  read(payload: unknown): P;
}

/** Where a task runs. */
export interface JobContext {
  /**
   * Aborts when the task must end: this server shuts down or is believed dead. Throw then, soon; another server begins the task
   * again. Whatever the task does may so be done twice, and must bear that.
   */
  signal: AbortSignal;
  /** 1 for the first. One that a shutdown interrupts does not count; one whose server died does. */
  attempt: number;
  /** Whether nothing comes after it if it throws. */
  isLast: boolean;
}

/** A task with the code that does it. */
export interface Handler {
  task: Pick<Task<unknown>, 'name' | 'lane'>;
  run(payload: unknown, context: JobContext): Promise<void>;
}

/** Joins a task with the code that does it. What throws is tried again, after 3 s, 7 s, 20 s, … up to 6 hours. */
export function handle<P>(task: Task<P>, run: (payload: P, context: JobContext) => Promise<void>): Handler {
  return { task, run: (payload, context) => run(task.read(payload), context) };
}
