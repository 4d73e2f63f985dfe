import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

/** What a receiver of webhooks was sent. */
export interface Received {
  id: string;
  headers: IncomingHttpHeaders;
  body: string;
  payload: { type: string; timestamp: string; data: Record<string, unknown> };
  /** Whether the library Standard Webhooks finds it signed with the secret. Null while none is known. */
  verified: boolean | null;
}

/** Answers one request. */
export type Answer = (request: Received, response: ServerResponse) => void;

export interface Receiver {
  url: string;
  /** In the order in which they came. */
  received: Received[];
  /** The secrets that requests are verified with: one must do. */
  secrets: string[];
  /** Answers from now on. At first: 204. */
  answer: Answer;
  /** Resolves as soon as so many have come, or as many as the condition wants. */
  until(enough: number | ((received: Received[]) => boolean)): Promise<Received[]>;
  close(): Promise<void>;
}

/** An endpoint of somebody who receives webhooks, on this machine. */
export async function openReceiver(): Promise<Receiver> {
  const waiting = new Set<() => void>();
  const server = createServer((request, response) => {
    readBody(request).then(
      (body) => {
        const received = receive(request, body, receiver.secrets);
        receiver.received.push(received);
        receiver.answer(received, response);
        for (const look of [...waiting]) look();
      },
      // The sender has died meanwhile.
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const receiver: Receiver = {
    url: `http://127.0.0.1:${port}/hook`,
    received: [],
    secrets: [],
    answer: (_request, response) => response.writeHead(204).end(),
    until(enough) {
      return new Promise((resolve) => {
        const look = () => {
          const { received } = receiver;
          if (typeof enough === 'number' ? received.length < enough : !enough(received)) return;
          waiting.delete(look);
          resolve(received);
        };
        waiting.add(look);
        look();
      });
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function receive({ headers }: IncomingMessage, body: string, secrets: readonly string[]): Received {
  const payload = JSON.parse(body) as Received['payload'];
  const verified = secrets.length === 0 ? null : secrets.some((secret) => verifies(secret, body, headers));
  return { id: String(headers['webhook-id']), headers, body, payload, verified };
}

/** Whether the library Standard Webhooks takes it. */
export function verifies(secret: string, body: string, headers: IncomingHttpHeaders): boolean {
  try {
    new Webhook(secret).verify(body, headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}
