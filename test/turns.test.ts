import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Intake } from '../src/attachments/intake.ts';
import { Turns } from '../src/attachments/turns.ts';

test('pieces of files that come in at the same time are taken one after the other, and other work in between', async () => {
  const order: string[] = [];
  const ended = ['first', 'second', 'third'].map((name) => {
    const intake = new Intake({ exactly: 1 });
    intake.on('data', () => order.push(name));
    intake.end(Buffer.from('x'));
    return new Promise((resolve) => intake.once('end', resolve));
  });
  let isOver = false;
  const others = () => {
    order.push('another');
    if (!isOver) setImmediate(others);
  };
  setImmediate(others);
  await Promise.all(ended);
  isOver = true;
  expect(order.join(' ')).toMatch(/^(another )*first (another )+second (another )+third( another)*$/);
});

test('the longer a turn of the event loop takes, the longer the next piece waits, up to a limit', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
  const turns = new Turns();
  const taken: string[] = [];
  const takes = (name: string, ms: number) =>
    turns.wait(() => {
      taken.push(name);
      vi.advanceTimersByTime(ms);
    });
  takes('at once', 4);
  takes('after a long turn', 1000);
  takes('after a much longer one', 0);
  vi.advanceTimersByTime(2);
  await turn();
  vi.advanceTimersByTime(7);
  expect(taken).toEqual(['at once']);
  vi.advanceTimersByTime(1);
  expect(taken).toEqual(['at once', 'after a long turn']);
  await turn();
  vi.advanceTimersByTime(10);
  expect(taken).toEqual(['at once', 'after a long turn', 'after a much longer one']);
});
