let waiting = new Set<() => void>();

/** Runs `work` once, together with all that is to run in this tick, after the events that have arrived are read. */
export function inThisTick(work: () => void): void {
  if (waiting.size === 0) setImmediate(run);
  waiting.add(work);
}

function run(): void {
  const now = waiting;
  waiting = new Set();
  for (const work of now) work();
}
