import { setImmediate as immediate } from 'node:timers/promises';

/** How long the parts of all replies may be worked on in one turn of the event loop, in milliseconds. */
const TURN_MS = 10;

let began: number | null = null;

/** Whether that has taken so long in this turn of the event loop that other work must be let in first. */
export function isTurnOver(): boolean {
  if (began === null) {
    began = performance.now();
    setImmediate(() => (began = null));
    return false;
  }
  return performance.now() - began > TURN_MS;
}

/** Resolves once other work has been let in. */
export function nextTurn(): Promise<void> {
  return immediate();
}
