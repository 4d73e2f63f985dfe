import { expect, test, vi } from 'vitest';
import { inProcessBus, type Member } from '../src/bus/in-process.ts';
import { advanceOnHints, passOn } from '../src/conversations/log/tail-hints.ts';
import { createLogger } from '../src/logger.ts';
import { Pulse } from '../src/pulse.ts';

test('what is committed on a server without the turn wakes the one that has it, and only that one', async () => {
  const logger = createLogger({ level: 'silent' });
  const group = new Set<Member>();
  const servers = [false, true, false].map((isInTurn) => {
    const bus = inProcessBus({ logger, group });
    const tail = { isInTurn, isAwaited: true };
    const advance = vi.fn(() => {
      passOn(bus, tail);
      return Promise.resolve();
    });
    const pulse = new Pulse(0, advance);
    return { bus, advance, pulse, end: advanceOnHints(bus, tail, pulse) };
  });
  const [committing, inTurn, other] = servers;
  await Promise.all(servers.map(({ bus }) => bus.connect()));
  committing?.bus.publish({ kind: 'log', conversationId: 'conv_followed_by_nobody', version: 1 });
  await vi.waitFor(() => expect(inTurn?.advance).toHaveBeenCalledOnce());
  expect(committing?.advance).toHaveBeenCalledOnce();
  expect(other?.advance).not.toHaveBeenCalled();
  for (const { bus, pulse, end } of servers) {
    end();
    await pulse.close();
    await bus.close();
  }
});

test('what nobody waits for wakes nobody', async () => {
  const bus = inProcessBus({ logger: createLogger({ level: 'silent' }) });
  const tail = { isInTurn: true, isAwaited: false };
  const advancing = { ask: vi.fn() };
  const end = advanceOnHints(bus, tail, advancing);
  await bus.connect();
  const commit = () => bus.publish({ kind: 'log', conversationId: 'conv_followed_by_nobody', version: 1 });
  commit();
  expect(advancing.ask).not.toHaveBeenCalled();
  tail.isAwaited = true;
  commit();
  expect(advancing.ask).toHaveBeenCalledOnce();
  end();
  await bus.close();
});
