import { setImmediate as immediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { TransferGate, type TransferLimits, uploadLimits } from '../src/attachments/transfer-gate.ts';

const limits: TransferLimits = {
  atOnce: 2,
  spare: 1,
  ofPerson: { atOnce: 1, waiting: 1 },
  ofProgram: { atOnce: 10, waiting: 10 },
  waiting: 3,
  waitMs: 60_000,
};
const never = new AbortController().signal;

/** Transfers that run until they are let go. */
function transfers(gate: TransferGate) {
  const running: string[] = [];
  const open = new Map<string, () => void>();
  const start = (name: string, signal = never, isPerson = false) => {
    const [organizationId = ''] = name;
    return gate.run({ organizationId, id: isPerson ? organizationId : name, isPerson }, signal, async () => {
      running.push(name);
      await new Promise<void>((resolve) => open.set(name, resolve));
      running.splice(running.indexOf(name), 1);
    });
  };
  const end = async (name: string) => {
    open.get(name)?.();
    for (let n = 0; n < 5; n += 1) await immediate();
  };
  return { running, start, end };
}

test('sixteen files come in at a time', () => {
  expect(uploadLimits.atOnce).toBe(16);
});

test('so many run at the same time; the others wait, and take turns by organization', async () => {
  const { running, start, end } = transfers(new TransferGate(limits));
  const all = ['a1', 'a2', 'a3', 'a4', 'b1'].map((name) => start(name));
  await immediate();
  // One that has none running does not wait behind the others.
  expect(running).toEqual(['a1', 'a2', 'b1']);
  const waiting = start('b2');
  await end('b1');
  expect(running).toEqual(['a1', 'a2']);
  await end('a1');
  await end('a2');
  expect(running.sort()).toEqual(['a3', 'b2']);
  for (const name of ['a3', 'b2', 'a4']) await end(name);
  await Promise.all([...all, waiting]);
  expect(running).toEqual([]);
});

test('more than may wait are refused, and so is one that has waited too long', async () => {
  const { start, end } = transfers(new TransferGate({ ...limits, waiting: 1, waitMs: 10 }));
  const first = [start('a1'), start('a2')];
  const late = start('a3');
  await expect(start('a4')).rejects.toThrow('Too many files');
  await expect(late).rejects.toThrow('Too many files');
  for (const name of ['a1', 'a2']) await end(name);
  await Promise.all(first);
});

test('one that goes away while it waits leaves its place', async () => {
  const { running, start, end } = transfers(new TransferGate(limits));
  const first = [start('a1'), start('a2')];
  const leaving = new AbortController();
  const gone = start('a3', leaving.signal);
  const next = start('a4');
  leaving.abort(new Error('went away'));
  await expect(gone).rejects.toThrow('went away');
  await end('a1');
  expect(running).toEqual(['a2', 'a4']);
  for (const name of ['a2', 'a4']) await end(name);
  await Promise.all([...first, next]);
});

test('one person has fewer at a time than a program', async () => {
  const { running, start, end } = transfers(new TransferGate(limits));
  const one = start('p1', never, true);
  const two = start('p2', never, true);
  await immediate();
  expect(running).toEqual(['p1']);
  await expect(start('p3', never, true)).rejects.toThrow('Too many files');
  await end('p1');
  expect(running).toEqual(['p2']);
  await end('p2');
  await Promise.all([one, two]);
});
