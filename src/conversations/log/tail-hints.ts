import type { Bus } from '../../bus/hints.ts';
import type { Pulse } from '../../pulse.ts';

/** A shared tail, as far as hints concern it. */
interface Turn {
  isInTurn: boolean;
  isAwaited: boolean;
}

/**
 * Has a shared tail advance as soon as there may be new events that somebody waits for. The server that has the turn does not hear
 * of conversations that nobody follows on it, so that others tell it (`passOn`). Returns the function that ends it.
 */
export function advanceOnHints(bus: Bus, tail: Turn, advancing: Pick<Pulse, 'ask'>): () => void {
  return bus.subscribe({
    onHint: ({ kind }) => {
      const isNews = kind === 'log' || (kind === 'log-moved' && tail.isInTurn);
      if (isNews && tail.isAwaited) advancing.ask();
    },
    onReconnect: () => advancing.ask(),
  });
}

/** Tells the server that has the turn, if it is another one, that the log may have new events. */
export function passOn(bus: Bus, tail: Turn): void {
  if (!tail.isInTurn) bus.publish({ kind: 'log-moved' }, 'ELSEWHERE');
}
