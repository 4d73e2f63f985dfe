import { expect, test } from 'vitest';
import { createDatabase, useDatabase } from '../harness/database.ts';
import { Random } from '../harness/random.ts';
import { hammerTail, nameOf, outOfOrder } from '../harness/tail-hammer.ts';

const database = useDatabase();

test(
  'consumers of the log are told of each of thousands of events once and in order',
  { timeout: 300_000 },
  async () => {
    const other = await createDatabase();
    const random = new Random(Date.now());
    const options = { url: database.url, otherUrl: other.url, random, writers: 12, transactions: 600 };
    const { committed, told } = await hammerTail(options);
    await other.drop();
    for (const { consumer, events } of told) {
      expect(outOfOrder(events), `${consumer}, seed ${random.seed}`).toEqual([]);
      expect(events.map(nameOf).sort(), `${consumer}, seed ${random.seed}`).toEqual([...committed].sort());
    }
  },
);
