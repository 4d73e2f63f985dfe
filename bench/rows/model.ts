import { type Bench, type Figure, quantile, type Row } from '../bench.ts';
import { Side } from '../delivery.ts';
import type { Program } from '../process.ts';
import type { ModelClientCommands } from '../programs/model-client.ts';
import type { ModelServerCommands } from '../programs/model-server.ts';

/** How long the first delta may take, in milliseconds, in the median of replies that are spoken one at a time. */
const PROMISED_MS = 5;

/** How long the first token of a language model takes to a client. */
export const model: Row = {
  name: 'model',
  async run(bench) {
    const url = await bench.start<ModelServerCommands>('model-server').call('address', null);
    const env = { BENCH_RUNTIME: 'model', PARLEY_MODEL_URL: url, PARLEY_MODEL: 'bench' };
    const sides = {
      ours: new Side(bench, 'parley', { env }),
      limit: bench.start<ModelClientCommands>('model-client'),
    };
    const alone = await measure(bench, url, sides, { atOnce: 1, rounds: bench.quick ? 3 : 10, replies: 20 });
    const together = await measure(bench, url, sides, { atOnce: 20, rounds: bench.quick ? 1 : 5, replies: 2 });
    const median = alone[0]?.ours ?? NaN;
    return {
      title: 'First delta of the model runtime, by WebSocket',
      figures: [...alone, ...together],
      notes: [
        'From when the model server writes its first token until the client has it. All replies of all turns together.',
        'Limit: a client that reads the stream of the model server itself.',
        'Replies at a time are asked for at the same moment, so that each waits for what the server does for the others.',
        `Promised: at most ${PROMISED_MS} ms in the median of 1 reply at a time, which this run has ` +
          `${median <= PROMISED_MS ? 'kept' : 'NOT kept'}.`,
      ],
    };
  },
};

interface Sides {
  ours: Side;
  limit: Program<ModelClientCommands>;
}

interface Scenario {
  atOnce: number;
  rounds: number;
  /** In each conversation, one after the other, in a round. */
  replies: number;
}

async function measure(bench: Bench, url: string, sides: Sides, scenario: Scenario): Promise<Figure[]> {
  const { atOnce, rounds, replies } = scenario;
  const who = `${atOnce} ${atOnce === 1 ? 'reply' : 'replies'} at a time, ${atOnce * replies * rounds} in all`;
  bench.progress(`model: ${who}`);
  const { ours, limit } = await bench.alternate(rounds, {
    async ours() {
      await sides.ours.subscribe(atOnce, 1);
      return repeat(replies, () => sides.ours.firstDelays());
    },
    limit: () => repeat(replies, () => sides.limit.call('ask', { url, replies: atOnce })),
  });
  return [0.5, 0.99].map((part) => ({
    what: `${who}: p${part * 100}`,
    unit: 'ms',
    ours: quantile(ours.flat(), part),
    limit: quantile(limit.flat(), part),
  }));
}

async function repeat(times: number, measure: () => Promise<number[]>): Promise<number[]> {
  const measured: number[] = [];
  for (let time = 0; time < times; time += 1) measured.push(...(await measure()));
  return measured;
}
