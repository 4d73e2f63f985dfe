import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { Entrance } from '../src/server/entrance.ts';
import { countRows } from './harness/rows.ts';
import { useServer } from './harness/server.ts';

const server = useServer();

/** What has begun, in order. */
function enterAll(entrance: Entrance, networks: readonly string[]): string[] {
  const begun: string[] = [];
  for (const network of networks) {
    void Promise.resolve(entrance.enter(network)).then((mayBegin) => begun.push(mayBegin ? network : `not ${network}`));
  }
  return begun;
}

describe('requests that have arrived together', () => {
  test('begin one in a turn, and networks take turns', async () => {
    const begun = enterAll(new Entrance(), ['a', 'a', 'a', 'b']);
    const seen: string[][] = [];
    for (let i = 0; i < 5; i += 1) {
      await turn();
      seen.push([...begun]);
    }
    expect(seen.map(({ length }) => length)).toEqual([2, 3, 4, 4, 4]);
    expect(begun).toEqual(['a', 'a', 'b', 'a']);
  });

  test('wait while peers connect, but not for ever', async () => {
    const entrance = new Entrance();
    entrance.connected();
    const begun = enterAll(entrance, ['a', 'b']);
    const connecting = async (turns: number) => {
      for (let i = 0; i < turns; i += 1) {
        entrance.connected();
        await turn();
      }
    };
    await connecting(40);
    expect(begun).toEqual([]);
    await connecting(40);
    expect(begun).toEqual(['a', 'b']);
    // From now on those who keep connecting have every other turn.
    const later = enterAll(
      entrance,
      Array.from({ length: 20 }, () => 'c'),
    );
    await connecting(20);
    expect(later.length).toBeGreaterThanOrEqual(9);
  });

  test('are refused when they have waited for too long, and those that come then begin', async () => {
    const entrance = new Entrance({ waitMs: 1 });
    const begun = enterAll(
      entrance,
      Array.from({ length: 20 }, () => 'a'),
    );
    // A turn that takes longer than they may wait.
    for (const end = performance.now() + 5; performance.now() < end;);
    while (begun.length < 20) await turn();
    expect(begun.filter((what) => what === 'a').length).toBeLessThan(5);
    expect(begun.filter((what) => what === 'not a').length).toBeGreaterThan(15);
    await turn();
    expect(await entrance.enter('b')).toBe(true);
  });

  test('wait for a shorter time where there has been somebody waiting for that time', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    onTestFinished(() => void vi.useRealTimers());
    // Whoever waits has been told, and no turn has passed.
    const told = async () => {
      for (let i = 0; i < 10; i += 1) await Promise.resolve();
    };
    const entrance = new Entrance({ waitMs: 3000, standingWaitMs: 1000 });
    const crowd = enterAll(entrance, ['a', 'a', 'b']);
    vi.advanceTimersByTime(900);
    const inTime = enterAll(entrance, ['c']);
    vi.advanceTimersByTime(101);
    const later = enterAll(entrance, ['d']);
    vi.advanceTimersByTime(1000);
    await told();
    expect([crowd, inTime, later]).toEqual([['a'], [], ['not d']]);
    vi.advanceTimersByTime(1000);
    await told();
    expect([crowd, inTime]).toEqual([['a', 'not a', 'not b'], []]);
    await turn();
    expect(inTime).toEqual(['c']);
  });
});

test('a request that has waited for too long is refused over HTTP, with nothing done', async () => {
  const rows = await countRows(server.services.pool);
  const entering = vi.spyOn(Entrance.prototype, 'enter').mockResolvedValue(false);
  const answer = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${server.key}` },
    body: JSON.stringify({ query: 'mutation { createConversation(input: { action: NONE }) { __typename } }' }),
  });
  entering.mockRestore();
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
  expect(await answer.json()).toMatchObject({ errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE' } }] });
  expect(await countRows(server.services.pool)).toEqual(rows);
});
