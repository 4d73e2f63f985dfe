import { connect } from 'node:net';

/** What can carry events between servers here, by the name in the table. */
export const buses: readonly { name: string; env: Record<string, string> }[] = [
  { name: 'PostgreSQL', env: {} },
  { name: 'Redis', env: { EVENTS_URL: 'redis://127.0.0.1:6379' } },
  { name: 'NATS', env: { EVENTS_URL: 'nats://127.0.0.1:4222' } },
];

/** PostgreSQL always is. */
export function isThere({ EVENTS_URL }: Record<string, string>): Promise<boolean> {
  if (EVENTS_URL === undefined) return Promise.resolve(true);
  const { hostname, port } = new URL(EVENTS_URL);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.once('connect', () => socket.end(() => resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

/** What is said in place of figures. */
export function notThere(name: string): string {
  return `${name} does not answer here, and was not measured.`;
}
