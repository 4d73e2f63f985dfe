import { expect, test } from 'vitest';
import { retry } from '../src/retry.ts';

test('after the last attempt its failure is thrown', async () => {
  let attempts = 0;
  const failing = () => {
    attempts += 1;
    throw new Error(`failure ${attempts}`);
  };
  await expect(retry(failing, { attempts: 3, firstMs: 1 })).rejects.toThrow('failure 3');
  expect(attempts).toBe(3);
});

test('what succeeds in the last attempt has succeeded', async () => {
  let attempts = 0;
  const succeeding = () => {
    attempts += 1;
    if (attempts < 3) throw new Error('not yet');
    return 'done';
  };
  expect(await retry(succeeding, { attempts: 3, firstMs: 1 })).toBe('done');
});

test('an abort ends it while it waits', async () => {
  const reason = new Error('enough');
  const ending = new AbortController();
  const trying = retry(() => Promise.reject(new Error('not yet')), {
    signal: ending.signal,
    firstMs: 3_600_000,
    longestMs: 3_600_000,
    onFailure: () => setImmediate(() => ending.abort(reason)),
  });
  await expect(trying).rejects.toBe(reason);
});
