import { EventEmitter } from 'node:events';
import { parse } from 'graphql';
import { expect, test } from 'vitest';
import { Faults } from '../src/faults.ts';
import { nameOfOperation } from '../src/graphql/operation-name.ts';
import { createLogger } from '../src/logger.ts';
import { RunningOperations } from '../src/running-operations.ts';

test('what ran while nothing else could is told, also when it has ended since', async () => {
  let now = 0;
  const operations = new RunningOperations(() => now);
  const waiting = operations.begin('query node');
  operations.begin('query node');
  operations.during('query short', () => undefined);
  operations.during('mutation importArticles', () => (now += 2000));
  expect(operations.lately(2000)).toEqual(['mutation importArticles', 'query node (2)']);
  waiting.end();
  waiting.end();
  now += 10_000;
  expect(operations.lately(2000)).toEqual(['query node']);
  await operations.during('mutation sendMessage', async () => expect(operations.lately(0)).toHaveLength(2));
  expect(operations.lately(0)).toHaveLength(1);
});

test('no more is kept and told than anybody would read', () => {
  const operations = new RunningOperations(() => 0);
  for (let i = 0; i < 1000; i += 1) operations.begin(`query q${i}`);
  expect(operations.lately(0)).toHaveLength(21);
  expect(operations.lately(0).at(-1)).toBe('and 980 more');
});

test('an operation is named by its fields', () => {
  const name = (source: string) => nameOfOperation({ document: parse(source) });
  expect(name('query Secret { a: node(id: 1) { id } node(id: 2) { id } agents { id } }')).toBe('query node, agents');
  expect(name('mutation { a b c d e }')).toBe('mutation a, b, c, …');
});

test('faults that nothing caught are logged and counted, whatever was thrown', () => {
  const lines: string[] = [];
  const faults = new Faults(createLogger({ plain: false, destination: { write: (line) => void lines.push(line) } }));
  const source = new EventEmitter();
  faults.watch(source);
  source.emit('unhandledRejection', new Error('first'));
  source.emit('unhandledRejection', 'second');
  source.emit('uncaughtException', new Error('third'));
  expect(faults).toMatchObject({ unhandledRejections: 2, uncaughtExceptions: 1 });
  expect(lines.map((line) => line.match(/first|second|third/)?.[0])).toEqual(['first', 'second', 'third']);
});
