import { expect, test } from 'vitest';
import { Intake } from '../src/attachments/intake.ts';

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
