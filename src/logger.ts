import { pino, type DestinationStream } from 'pino';
import { z } from 'zod';
import { BoundedOutput } from './bounded-output.ts';

/** Writes log lines. `logger.child({ requestId })` marks all lines that belong to a request. */
export type Logger = pino.Logger;

/** Log levels. Each includes those before it. */
export const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof logLevels)[number];

const secrets = ['apiKey', 'key', 'token', 'password', 'secret', 'authorization', 'cookie', 'connectionString'];

export interface LoggerOptions {
  /** Default: `info`. */
  level?: LogLevel;
  /** Default: stderr, without ever blocking (see `BoundedOutput`). */
  destination?: DestinationStream;
  /** Lines for people instead of JSON. Default: true if stderr is a terminal. */
  plain?: boolean;
}

/** A logger that writes one JSON object per line to stderr, or plain text on a terminal, and hides keys and tokens. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const { level = 'info', plain = process.stderr.isTTY } = options;
  const destination = options.destination ?? standardError(plain);
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: plainError },
      redact: { paths: secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[hidden]' },
    },
    plain ? { write: (line) => destination.write(plainLine(line)) } : destination,
  );
}

let stderr: BoundedOutput | undefined;

/** The output to stderr. There is one per process, because they share its buffer. */
function standardError(plain: boolean): BoundedOutput {
  stderr ??= new BoundedOutput(process.stderr, {
    droppedLine: (dropped) => {
      const msg = 'log lines were dropped, since nobody read them';
      const line = `${JSON.stringify({ level: 'warn', time: new Date().toISOString(), dropped, msg })}\n`;
      return plain ? plainLine(line) : line;
    },
  });
  return stderr;
}

/** Resolves when everything logged to stderr is written, or after `timeoutMs`, so that a stuck reader does not delay the exit. */
export async function flushLogs(timeoutMs: number): Promise<void> {
  await stderr?.flush(timeoutMs);
}

/** Keeps only safe fields: drivers attach rows, statements and passwords to their errors. */
function plainError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { type, message, stack } = pino.stdSerializers.err(error);
  return { type, message, stack, ...('code' in error && { code: error.code }) };
}

const lineSchema = z.looseObject({
  level: z.string(),
  time: z.string(),
  msg: z.string().default(''),
  err: z.looseObject({ stack: z.string().optional(), message: z.string().optional() }).optional(),
});

/** `12:30:01.250 WARN  the event bus is cut attempt=3`, followed by the stack of an error. */
function plainLine(json: string): string {
  const { success, data } = lineSchema.safeParse(JSON.parse(json));
  if (!success) return json;
  const { level, time, msg, err, ...fields } = data;
  const rest = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
  const cause = err ? `\n  ${(err.stack ?? err.message ?? '').replaceAll('\n', '\n  ')}` : '';
  return `${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${msg}${rest.join('')}${cause}\n`;
}
