import { createTransport } from 'nodemailer';

/**
 * How long connecting may take, how long the server may be silent, and how long a letter may take in all, in milliseconds. A server may
 * think about a letter for ten minutes (RFC 5321, 4.5.3.2.6): who gives up before sends it twice.
 */
const [CONNECT_MS, SILENCE_MS, LETTER_MS] = [10_000, 600_000, 720_000];

/** How many connections a server keeps, and how many letters one carries. */
const [CONNECTIONS, LETTERS] = [4, 100];

/** A letter was not taken. */
export class SmtpFailure extends Error {
  override name = 'SmtpFailure';
  /** Whether the server has said that it never takes it. */
  readonly forGood: boolean;

  constructor(message: string, forGood: boolean) {
    super(message);
    this.forGood = forGood;
  }
}

/** Hands letters to a mail server. */
export interface Smtp {
  /** Resolves when the server has taken the letter. Throws `SmtpFailure`. */
  send(letter: { raw: Buffer; sender: string; recipient: string }, signal: AbortSignal): Promise<void>;
  close(): void;
}

/** Opens no connection before the first letter. Anything after the host in the URL is passed to nodemailer, as `?requireTLS=true`. */
export function openSmtp(url: string): Smtp {
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: CONNECTIONS,
    maxMessages: LETTERS,
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    dnsTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    // A letter is tried again by the queue alone, which counts.
    maxRequeues: 0,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send({ raw, sender, recipient }, signal) {
      signal.throwIfAborted();
      const limit = AbortSignal.any([signal, AbortSignal.timeout(LETTER_MS)]);
      try {
        await transport.sendMail({
          raw,
          envelope: { from: sender, to: [{ name: '', address: recipient }] },
          // Closes the connection that carries the letter.
          signal: limit,
        });
      } catch (error) {
        if (!limit.aborted) throw failureOf(error);
        throw new SmtpFailure(signal.aborted ? 'This server ends.' : 'It took too long.', false);
      }
    },
    close: () => transport.close({ force: true }),
  };
}

/** A refusal of the letter or of its recipient with a code from 500 on is for good; what concerns the account or the connection is not. */
function failureOf(error: unknown): SmtpFailure {
  const { code, responseCode, message } = Object.assign({ code: '', responseCode: 0, message: String(error) }, error, {
    ...(error instanceof Error && { message: error.message }),
  });
  const concernsLetter = code === 'EENVELOPE' || code === 'EMESSAGE';
  return new SmtpFailure(message.slice(0, 1000), concernsLetter && responseCode >= 500 && responseCode < 600);
}
