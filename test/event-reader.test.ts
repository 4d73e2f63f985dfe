import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { EventReader } from '../src/agents/model/event-reader.ts';

/** A body that brings these pieces, each as a socket would. */
function bodyOf(...pieces: (string | Buffer)[]): Readable {
  const body = new Readable({ read: () => undefined });
  for (const piece of pieces) body.push(piece);
  return body;
}

/** Everything there is to read, by what was there at once. */
async function readAll(reader: EventReader): Promise<string[][]> {
  const taken: string[][] = [];
  while (!reader.isOver) {
    await reader.arrival();
    const events = reader.take();
    if (events.length > 0) taken.push([...events]);
  }
  return taken;
}

test('what came together is read at once, however characters and lines were cut', async () => {
  const bytes = Buffer.from('\uFEFFdata: größer\n\ndata: one\ndata: two\r\n\r\ndata: cut off');
  const body = bodyOf(...Array.from(bytes, (byte) => Buffer.of(byte)));
  body.push(null);
  expect((await readAll(new EventReader(body))).flat()).toEqual(['größer', 'one\ntwo']);
  const together = bodyOf('data: 1\n\ndata: 2\n\n', 'data: 3\n\n');
  together.push(null);
  expect(await readAll(new EventReader(together))).toEqual([['1', '2'], ['3']]);
});

test('no more than 8 KiB of it, so that no answer holds up the others', async () => {
  const body = bodyOf('data:1\n\n'.repeat(20_000));
  body.push(null);
  const taken = await readAll(new EventReader(body));
  expect(taken.flat()).toHaveLength(20_000);
  expect(Math.max(...taken.map(({ length }) => length))).toBeLessThanOrEqual(1024);
});

test('other work is let in between, however much there is to read', async () => {
  const body = bodyOf('data:1\n\n'.repeat(500_000));
  body.push(null);
  let turns = 0;
  const count = () => {
    turns += 1;
    turning = setImmediate(count);
  };
  let turning = setImmediate(count);
  const began = performance.now();
  await readAll(new EventReader(body));
  clearImmediate(turning);
  // Each turn takes 10 ms and what the machine adds to it.
  expect(turns).toBeGreaterThanOrEqual(Math.floor((performance.now() - began) / 100));
});

test('while nobody reads, no more is taken than fits', async () => {
  const body = bodyOf('data: 1\n\n');
  const reader = new EventReader(body);
  await reader.arrival();
  for (let sent = 0; sent < 200; sent += 1) body.push(Buffer.alloc(1024, ':\n'));
  expect(body.readableLength).toBeGreaterThan(100 * 1024);
  body.push(null);
  expect(await readAll(reader)).toEqual([['1']]);
});

test('a line that does not end is given up', async () => {
  const body = bodyOf(Buffer.alloc(2 * 1024 * 1024, 'x'));
  await expect(readAll(new EventReader(body))).rejects.toThrow('more at once than can be taken');
});

test('a connection that is lost is a fault, after what had come', async () => {
  const body = bodyOf('data: 1\n\n');
  const reader = new EventReader(body);
  await reader.arrival();
  expect(reader.take()).toEqual(['1']);
  body.destroy();
  await reader.arrival();
  expect(() => reader.take()).toThrow('closed in the middle');
  expect(() => new EventReader(body).take()).toThrow('lost before the answer');
});
