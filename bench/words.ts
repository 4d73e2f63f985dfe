import { now } from './clock.ts';

/** What an agent says. */
export interface Script {
  /** How many deltas it produces; without, until it is told to finish. */
  tokens?: number;
  /** At first. At 0, it stands still after its first delta. */
  perSecond: number;
  /** Whether each delta is the time at which it was produced instead of a word. */
  stamped?: boolean;
  /** Whether it is kept when each delta was produced. */
  recorded?: boolean;
}

/** Pieces as a language model makes them, of five characters on average. */
const pieces =
  'Every| reader| resumes| at| the| cursor| where| it| was| cut|,| and| misses| not| a| single| character|. ';
const words = pieces.split('|');

let count = 0;

/** How many deltas this process has produced. */
export function producedCount(): number {
  return count;
}

/** The delta that is produced just now. */
export function produce(index: number, { stamped }: Script): string {
  count += 1;
  return stamped ? stamp() : (words[index % words.length] ?? '');
}

/** A delta that is the time at which it is produced. */
export function stamp(): string {
  return `${now().toFixed(3)} `;
}

/** The times in the text of stamped deltas, any number of which may have been joined. */
export function stampsIn(text: string): number[] {
  return text.trim().split(' ').map(Number);
}
