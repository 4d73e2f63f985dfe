import { expect, it } from 'vitest';
import { z } from 'zod';
import { openSocket } from './harness/client.ts';
import { useServer } from './harness/server.ts';

const server = useServer();

const page = 'query Page($first: Int) { conversations(first: $first) { nodes { id } } }';

async function post(body: object) {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${server.key}` },
    body: JSON.stringify(body),
  });
  return (await response.json()) as object;
}

it('a request that asks is told what its operation costs, over HTTP', async () => {
  const asked = { query: page, variables: { first: 10 }, extensions: { cost: true } };
  const small = await post(asked);
  expect(small).toMatchObject({ data: {}, extensions: { cost: { limit: 20_000 } } });
  expect(await post({ query: page, variables: { first: 10 } })).not.toHaveProperty('extensions');
  const costs = z.object({ extensions: z.object({ cost: z.object({ requested: z.number() }) }) });
  const large = await post({ ...asked, variables: { first: 100 } });
  expect(costs.parse(large).extensions.cost.requested).toBeGreaterThan(
    5 * costs.parse(small).extensions.cost.requested,
  );
});

it('an operation that is refused for its cost is told it', async () => {
  const query = '{ conversations(first: 100) { nodes { messages(first: 100) { nodes { fragments { id } } } } } }';
  expect(await post({ query, extensions: { cost: true } })).toMatchObject({
    errors: [{ extensions: { code: 'BAD_USER_INPUT' } }],
    extensions: { cost: { limit: 20_000 } },
  });
});

it('the same over WebSocket', async () => {
  const client = openSocket(server);
  const result = await new Promise((resolve, reject) => {
    client.subscribe(
      { query: page, variables: { first: 10 }, extensions: { cost: true } },
      { next: resolve, error: reject, complete: () => undefined },
    );
  });
  await client.dispose();
  expect(result).toMatchObject({ data: {}, extensions: { cost: { limit: 20_000 } } });
});
