import type { ByteRange } from '../storage/driver.ts';

/**
 * The part of a file that a `Range` header asks for. Null for all of it: without the header, for one that is malformed, and for several
 * parts at once. `UNSATISFIABLE` for what lies beyond its end.
 */
export function readRange(header: string | undefined, bytes: number): ByteRange | 'UNSATISFIABLE' | null {
  const parts = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '');
  const [, from = '', to = ''] = parts ?? [];
  if (!parts || (from === '' && to === '')) return null;
  if (from === '') {
    const length = Math.min(Number(to), bytes);
    return length === 0 ? 'UNSATISFIABLE' : { first: bytes - length, last: bytes - 1 };
  }
  const [first, last] = [Number(from), to === '' ? bytes - 1 : Math.min(Number(to), bytes - 1)];
  if (to !== '' && Number(to) < first) return null;
  return first >= bytes ? 'UNSATISFIABLE' : { first, last };
}
