import { setTimeout as sleep } from 'node:timers/promises';
import { now } from '../clock.ts';
import { producedCount } from '../words.ts';

/** What a process has used, and for how much. */
export interface Usage {
  /** When, in milliseconds. */
  at: number;
  /** Since it started, on all its threads, in microseconds. */
  cpu: number;
  /** The tokens that it has produced. */
  tokens: number;
  /** In KiB. */
  rss: number;
  heap: number;
}

/** Garbage is collected first where memory is what is asked about, until no more is given back. */
export async function usage({ collect }: { collect: boolean }): Promise<Usage> {
  if (collect) {
    for (let before = Infinity; process.memoryUsage.rss() < 0.995 * before;) {
      before = process.memoryUsage.rss();
      if (!global.gc) throw new Error('The program runs without --expose-gc.');
      await global.gc({ type: 'major', execution: 'async' });
      await sleep(300);
    }
  }
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return { at: now(), cpu: user + system, tokens: producedCount(), rss: rss / 1024, heap: heapUsed / 1024 };
}
