import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
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
  /** What of the memory that is resident is this process's alone. Where the system does not tell, all of it. */
  own: number;
  /** What JavaScript holds: its heap, and what lies outside of it. */
  heap: number;
  external: number;
}

/** Garbage is collected first where memory is what is asked about. */
export async function usage({ collect }: { collect: boolean }): Promise<Usage> {
  if (collect) await collectGarbage();
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    at: now(),
    cpu: user + system,
    tokens: producedCount(),
    rss: rss / 1024,
    own: ownMemory() ?? rss / 1024,
    heap: heapUsed / 1024,
    external: external / 1024,
  };
}

/** Until no more is given back. Unlike `gc`, the inspector's way gives the system back what the heap keeps free. */
async function collectGarbage(): Promise<void> {
  const session = new Session();
  session.connect();
  for (let before = Infinity; process.memoryUsage.rss() < 0.995 * before;) {
    before = process.memoryUsage.rss();
    await session.post('HeapProfiler.collectGarbage');
    await sleep(300);
  }
  session.disconnect();
}

function ownMemory(): number | null {
  let text;
  try {
    text = readFileSync('/proc/self/smaps_rollup', 'utf8');
  } catch {
    return null;
  }
  let sum = 0;
  for (const [, kibibytes] of text.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm)) sum += Number(kibibytes);
  return sum;
}
