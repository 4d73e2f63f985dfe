import type { Writable } from 'node:stream';

/** How many characters may wait for a reader of the output that is slow or gone. */
const MAX_WAITING = 1024 * 1024;

export interface BoundedOutputOptions {
  /** How many characters may wait. Default: 1 Mi. */
  maxWaiting?: number;
  /** The line that says how many lines were dropped before it. */
  droppedLine: (count: number) => string;
}

/**
 * Writes lines to a stream without ever waiting for it: a pipe, a socket, or a terminal that was stopped. Lines that do not fit
 * into the buffer are dropped and counted, and a line says so as soon as there is room again.
 */
export class BoundedOutput {
  private readonly stream: Writable;
  private readonly maxWaiting: number;
  private readonly droppedLine: (count: number) => string;
  private dropped = 0;

  constructor(stream: Writable, options: BoundedOutputOptions) {
    this.stream = stream;
    this.maxWaiting = options.maxWaiting ?? MAX_WAITING;
    this.droppedLine = options.droppedLine;
    // Nobody reads any more, so the error cannot be reported either.
    stream.on('error', () => undefined);
    stream.on('drain', () => this.reportDropped());
  }

  write(line: string): void {
    makeNonBlocking(this.stream);
    if (this.stream.writableLength + line.length > this.maxWaiting) {
      this.dropped += 1;
      return;
    }
    this.reportDropped();
    this.stream.write(line);
  }

  /** Resolves when everything is written, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void> {
    makeNonBlocking(this.stream);
    this.reportDropped();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.stream.write('', () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  private reportDropped(): void {
    if (this.dropped === 0) return;
    const count = this.dropped;
    this.dropped = 0;
    this.stream.write(this.droppedLine(count));
  }
}

interface Handle {
  setBlocking(isBlocking: boolean): void;
}

function isHandle(value: unknown): value is Handle {
  return (
    typeof value === 'object' && value !== null && 'setBlocking' in value && typeof value.setBlocking === 'function'
  );
}

/**
 * Node makes terminals blocking itself. Of a pipe or socket, any process that shares it does: each child that inherits stderr, as
 * the compiler of tsx. So it is said again before each line. Node has no public way to say it.
 */
function makeNonBlocking(stream: Writable): void {
  const handle: unknown = Reflect.get(stream, '_handle');
  if (isHandle(handle)) handle.setBlocking(false);
}
