import { beforeAll, describe, expect, test } from 'vitest';
import { arrivalLimits } from '../../src/graphql/arrivals.ts';
import { addOrganization, type Organization } from '../harness/access.ts';
import { useServer } from '../harness/server.ts';
import { BODY, useUnfinished } from '../harness/unfinished.ts';

const server = useServer({ config: { rateLimitPerKey: 0 } });
const { closeAll, offer, refusedOver, isServed, keysOf } = useUnfinished(server);
let others: Organization;
beforeAll(async () => {
  others = await addOrganization(server.services);
});

describe.each(['HTTP', 'WebSocket'] as const)('requests that never end, over %s', (way) => {
  test('hold 64 MiB of one key, which is served again once they are gone', async () => {
    const requests = Math.ceil(arrivalLimits.key / BODY);
    const told = refusedOver(way, 429, /Retry-After: 1\r\n[^]* 67108864 bytes/i);
    expect(await offer(way, [server.key], requests)).toMatchObject(told);
    expect(await isServed(others.key)).toBe(true);
    closeAll();
    await expect.poll(() => isServed(server.key)).toBe(true);
    // As much again is taken, and refused only beyond it.
    expect(await offer(way, [server.key], requests)).toMatchObject(told);
  });

  test('hold 128 MiB of one organization, with whatever keys', async () => {
    const { id, key } = await addOrganization(server.services);
    const keys = [key, ...(await keysOf(id, 2))];
    expect(await offer(way, keys, 5)).toMatchObject(refusedOver(way, 429, /Retry-After: 1\r\n[^]* 134217728 bytes/i));
    expect(await isServed(others.key)).toBe(true);
  });

  test('hold 256 MiB of the server, of whomever', async () => {
    // No organization and no key sends more than it may.
    const organizations = await Promise.all(Array.from({ length: 3 }, () => addOrganization(server.services)));
    const keys = await Promise.all(organizations.map(async ({ id, key }) => [key, ...(await keysOf(id, 1))]));
    expect(await offer(way, keys.flat(), 7)).toMatchObject(
      refusedOver(way, 503, /Retry-After: 1\r\n[^]*Too much is being sent/i),
    );
    closeAll();
    await expect.poll(() => isServed(others.key)).toBe(true);
  });
});
