import type { Bus } from '../../bus/hints.ts';
import type { Pulse } from '../../pulse.ts';
import { outsideOperations } from '../../work-clock.ts';

/** A shared tail, as far as hints concern it. */
interface Turn {
  isInTurn: boolean;
}

/**
 * Has a shared tail advance as soon as there may be new events. The server that has the turn does not hear of conversations that
 * nobody follows on it, so that others tell it (`passOn`). Returns the function that ends it.
 */
export function advanceOnHints(bus: Bus, tail: Turn, advancing: Pulse): () => void {
  return bus.subscribe({
    onHint: ({ kind }) => {
      if (kind === 'log' || (kind === 'log-moved' && tail.isInTurn)) outsideOperations(() => advancing.ask());
    },
    onReconnect: () => advancing.ask(),
  });
}

/** Tells the server that has the turn, if it is another one, that the log may have new events. */
export function passOn(bus: Bus, tail: Turn): void {
  if (!tail.isInTurn) bus.publish({ kind: 'log-moved' }, 'ELSEWHERE');
}
