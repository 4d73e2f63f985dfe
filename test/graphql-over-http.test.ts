import { serverAudits } from 'graphql-http';
import { expect, test } from 'vitest';
import { useServer } from './harness/server.ts';

const server = useServer();

const audits = serverAudits({
  url: () => `${server.url}/graphql`,
  fetchFn: (input: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    headers.set('Authorization', `Bearer ${server.key}`);
    return fetch(input, { ...init, headers });
  },
});

test.each(audits.map(({ name, id, fn }) => [name, id, fn] as const))('%s (%s)', async (name, _id, fn) => {
  const result = await fn();
  // What it MAY do is its own affair.
  const isFault = result.status !== 'ok' && !name.startsWith('MAY');
  expect(isFault ? result.reason : null).toBeNull();
});
