import type { Json } from '../../json.ts';

/** How deep a value may be nested that comes from outside. */
export const MAX_DEPTH = 100;

/** Whether a value has more levels than this. Looks no deeper. */
export function isDeeperThan(value: Json, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((item) => isDeeperThan(item, levels - 1));
}
