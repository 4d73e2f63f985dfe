import type { Bench, Row } from '../bench.ts';
import { Side } from '../delivery.ts';

/** What is promised of a subscription, in KiB of resident memory. */
const PROMISED_KIB = 14;

const STEPS = 4;

/** How many are begun together, and follow one conversation. */
const BATCH = 50;

/** What a process uses that has so many subscriptions, in KiB. */
interface Point {
  subscriptions: number;
  /** Of its own that is resident. */
  resident: number;
  /** That JavaScript holds. */
  held: number;
}

/** What a subscription costs on which nothing happens. */
export const memory: Row = {
  name: 'memory',
  async run(bench) {
    const step = bench.quick ? 250 : 1000;
    const ours = await measure(bench, 'parley', step);
    const limit = await measure(bench, 'plain-ws', step);
    const resident = residentOf(ours);
    return {
      title: `Memory of an idle subscription by WebSocket, of ${STEPS} times ${step} that are added`,
      figures: [
        { what: 'resident memory', unit: 'KiB', ours: resident, limit: residentOf(limit) },
        {
          what: '  of it that JavaScript holds: heap, buffers',
          unit: 'KiB',
          ours: slope(ours, 'held'),
          limit: slope(limit, 'held'),
        },
      ],
      notes: [
        `By how much each adds to a new process, after garbage collections. A socket each, ${BATCH} to a conversation.`,
        'Some of what is added lies in memory that the process had before. It counts as resident all the same.',
        'Limit: a server of graphql-ws and ws that does nothing but hold its subscriptions.',
        `Promised: at most ${PROMISED_KIB} KiB resident, which this run has ${resident <= PROMISED_KIB ? 'kept' : 'NOT kept'}.`,
      ],
    };
  },
};

async function measure(bench: Bench, name: 'parley' | 'plain-ws', step: number): Promise<Point[]> {
  const side = new Side(bench, name);
  const points: Point[] = [];
  // The first of them load and compile what all need, and have the heap as large as it is while others begin.
  for (let steps = 1; steps <= STEPS + 1; steps += 1) {
    bench.progress(`memory of ${steps * step} subscriptions: ${name}`);
    // In small batches, so that the garbage of their beginnings does not swell the process.
    for (let begun = 0; begun < step; begun += BATCH) await side.follow(1, BATCH);
    const { own, heap, external } = await side.server.call('usage', { collect: true });
    points.push({ subscriptions: steps * step, resident: own, held: heap + external });
  }
  await side.check();
  await bench.stop();
  return points;
}

/** A process may have had memory to spare, but it has no less than what JavaScript holds. */
function residentOf(points: readonly Point[]): number {
  return Math.max(slope(points, 'resident'), slope(points, 'held'));
}

/** By least squares, how much a subscription adds. */
function slope(points: readonly Point[], of: 'resident' | 'held'): number {
  // What was enough for more is enough for fewer: what a process gives back later was none of theirs.
  const used = points.map((_, index) => Math.min(...points.slice(index).map((point) => point[of])));
  const mean = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  const [x, y] = [mean(points.map(({ subscriptions }) => subscriptions)), mean(used)];
  let [above, below] = [0, 0];
  for (const [index, { subscriptions }] of points.entries()) {
    above += (subscriptions - x) * ((used[index] ?? NaN) - y);
    below += (subscriptions - x) ** 2;
  }
  return above / below;
}
