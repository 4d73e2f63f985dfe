import { describe, expect, it } from 'vitest';
import { SearchGate } from '../src/knowledge/search-gate.ts';
import { KnowledgeBase } from '../src/knowledge/knowledge-base.ts';
import { consult } from '../src/knowledge/consult.ts';
import { UnavailableError } from '../src/errors.ts';
import { newId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { useDatabase } from './harness/database.ts';
import { Deferred } from './harness/deferred.ts';

const limits = { running: 2, waiting: 3, waitMs: 60_000, ofOneCorpus: 4 };

/** Work that goes on until it is told to end. */
function work() {
  const ends: Deferred[] = [];
  return {
    ends,
    begin: () => {
      const end = new Deferred();
      ends.push(end);
      return end.promise;
    },
  };
}

/** Lets everything happen that needs no timer. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('searches', () => {
  it('run a few at a time, wait for each other in order, and are refused beyond', async () => {
    const gate = new SearchGate(limits);
    const { ends, begin } = work();
    const order: number[] = [];
    const searches = [0, 1, 2, 3, 4].map((n) =>
      gate.run(`corpus ${n % 3}`, async () => {
        order.push(n);
        await begin();
      }),
    );
    await settled();
    expect(order).toEqual([0, 1]);
    await expect(gate.run('another', begin)).rejects.toBeInstanceOf(UnavailableError);
    ends[0]?.resolve();
    await settled();
    expect(order).toEqual([0, 1, 2]);
    for (const n of [1, 2, 3, 4]) {
      ends[n]?.resolve();
      await settled();
    }
    await Promise.all(searches);
    expect(order).toEqual([0, 1, 2, 3, 4]);
    await expect(gate.run('another', async () => 'free again')).resolves.toBe('free again');
  });

  it('of one corpus leave room for those of others', async () => {
    const gate = new SearchGate({ ...limits, waiting: 10 });
    const { ends, begin } = work();
    const ofOne = [0, 1, 2, 3].map(() => gate.run('greedy', begin));
    await expect(gate.run('greedy', begin)).rejects.toBeInstanceOf(UnavailableError);
    const other = gate.run('modest', async () => 'answered');
    for (let n = 0; n < 4; n += 1) {
      await settled();
      ends[n]?.resolve();
    }
    await Promise.all(ofOne);
    await expect(other).resolves.toBe('answered');
  });

  it('that wait too long are refused, and the others are not', async () => {
    const gate = new SearchGate({ ...limits, running: 1, waitMs: 10 });
    const { ends, begin } = work();
    const first = gate.run('a', begin);
    await expect(gate.run('b', begin)).rejects.toBeInstanceOf(UnavailableError);
    ends[0]?.resolve();
    await first;
    await expect(gate.run('c', async () => 'answered')).resolves.toBe('answered');
  });

  it('that fail give their place back', async () => {
    const gate = new SearchGate({ ...limits, running: 1, waiting: 0 });
    for (let i = 0; i < 3; i += 1) {
      await expect(gate.run('a', () => Promise.reject(new Error('no database')))).rejects.toThrow('no database');
    }
    await expect(gate.run('a', async () => 'answered')).resolves.toBe('answered');
  });
});

describe('a reply whose search is refused', () => {
  const { pool } = useDatabase();

  it('ends in an error that says that the knowledge base is busy', async () => {
    const knowledge = new KnowledgeBase(pool, { ...limits, ofOneCorpus: 0 });
    const search = consult(knowledge, createLogger({ level: 'silent' }));
    const request = { corpusId: newId(), query: 'anything', queryMetadata: null, limit: 5 };
    await expect(search(request, new AbortController().signal)).rejects.toMatchObject({
      name: 'RuntimeError',
      message:
        'The knowledge base is busy. Too many questions are being looked up at the moment. Try again in a second.',
    });
  });

  it('is not held up by a statement that waits: it is ended and told', async () => {
    const knowledge = new KnowledgeBase(pool, limits);
    const blocker = await pool.connect();
    try {
      await blocker.query('BEGIN; LOCK TABLE corpus_term');
      const found = knowledge.search({ corpusId: newId(), query: 'stripes' });
      await expect(found).rejects.toBeInstanceOf(UnavailableError);
    } finally {
      await blocker.query('ROLLBACK');
      blocker.release();
    }
    await expect(knowledge.search({ corpusId: newId(), query: 'stripes' })).resolves.toEqual({
      passages: [],
      near: [],
    });
  });
});
