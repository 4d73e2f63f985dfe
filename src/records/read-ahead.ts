import { setImmediate as turn } from 'node:timers/promises';
import type { TrackedContext } from '../jobs/tracked.ts';
import type { Cell, Page, Source } from './sources.ts';

/** Rows that are made text at a time: other work of the server comes in between. */
const AT_ONCE = 100;

/**
 * Gives page after page from a place on. The next one is read while the last is written, and told of as progress when it is given.
 * Throws when the job must end.
 */
export function readAhead(source: Source, from: string | null, context: TrackedContext): () => Promise<Page> {
  const read = (place: string | null) => {
    const page = source.page(place);
    // Of one that nobody asks for any more.
    page.catch(() => undefined);
    return page;
  };
  let coming = read(from);
  return async () => {
    context.signal.throwIfAborted();
    const page = await coming;
    if (page.next !== null) coming = read(page.next);
    context.progress(page.part);
    return page;
  };
}

/** The rows in small portions. */
export async function* inTurns(rows: readonly Cell[][]): AsyncGenerator<Cell[][], void, undefined> {
  for (let first = 0; first < rows.length; first += AT_ONCE) {
    await turn();
    yield rows.slice(first, first + AT_ONCE);
  }
}
