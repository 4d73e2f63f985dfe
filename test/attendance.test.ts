import { beforeAll, describe, expect, test } from 'vitest';
import { attendanceOf, isAttended, nextAttended, weekdays } from '../src/inboxes/attendance.ts';
import { toolsOf, type ToolServices } from '../src/agents/model/tools.ts';
import type { Turn } from '../src/agents/runtime.ts';
import { prompterFor } from '../src/agents/model/prompt.ts';
import { ask } from './harness/client.ts';
import { useServer } from './harness/server.ts';
import { turnOf } from './harness/turn.ts';
import { addWebChat } from './harness/visits.ts';

const server = useServer();

const berlin = (hours: [string, string, string][] | null) =>
  attendanceOf({
    timeZone: 'Europe/Berlin',
    hours: hours && hours.map(([day, from, to]) => ({ day, from, to })),
    awayMessage: null,
  });
const at = (time: string) => new Date(time);

describe('an inbox', () => {
  const weekday = berlin([
    ['MONDAY', '09:00', '12:00'],
    ['MONDAY', '13:00', '17:30'],
    ['SUNDAY', '22:00', '24:00'],
  ]);

  // 30 November 2026 is a Monday. Berlin is an hour ahead of UTC in winter, and two in summer.
  test.each([
    ['2026-11-30T07:59:59Z', false],
    ['2026-11-30T08:00:00Z', true],
    ['2026-11-30T10:59:59Z', true],
    ['2026-11-30T11:00:00Z', false],
    ['2026-11-30T16:29:59Z', true],
    ['2026-11-30T16:30:00Z', false],
    ['2026-12-01T09:00:00Z', false],
    ['2026-11-29T21:00:00Z', true],
    ['2026-11-29T22:59:59Z', true],
    ['2026-11-29T23:00:00Z', false],
    ['2026-07-06T07:00:00Z', true],
    ['2026-07-06T06:59:59Z', false],
  ])('at %s is attended: %s', (time, attended) => {
    expect(isAttended(weekday, at(time))).toBe(attended);
  });

  test.each([
    ['2026-11-30T07:00:00Z', '2026-11-30T08:00:00.000Z'],
    ['2026-11-30T11:30:00Z', '2026-11-30T12:00:00.000Z'],
    // The next is six days ahead, and from Sunday night on it is the next morning.
    ['2026-11-30T18:00:00Z', '2026-12-06T21:00:00.000Z'],
    ['2026-11-29T23:30:00Z', '2026-11-30T08:00:00.000Z'],
    // In the other half of the year, when the clocks change in between.
    ['2027-03-28T20:30:00Z', null],
    ['2027-03-22T18:00:00Z', '2027-03-28T20:00:00.000Z'],
  ])('that is asked at %s is attended next at %s', (time, next) => {
    expect(nextAttended(weekday, at(time))?.toISOString() ?? null).toBe(next);
  });

  test('whose only span is over today is attended next in a week', () => {
    const once = berlin([['MONDAY', '09:00', '10:00']]);
    expect(nextAttended(once, at('2026-11-30T09:00:00Z'))?.toISOString()).toBe('2026-12-07T08:00:00.000Z');
  });

  test('comes an hour later at a time that the change of the clocks leaves out', () => {
    const night = berlin([['SUNDAY', '02:30', '06:00']]);
    expect(nextAttended(night, at('2027-03-27T12:00:00Z'))?.toISOString()).toBe('2027-03-28T01:30:00.000Z');
  });

  test('of which nobody has said when is always attended, and one with an empty list never', () => {
    expect([isAttended(berlin(null), new Date()), nextAttended(berlin(null), new Date())]).toEqual([true, null]);
    expect([isAttended(berlin([]), new Date()), nextAttended(berlin([]), new Date())]).toEqual([false, null]);
  });
});

describe('an agent that is asked for a person', () => {
  const awayMessage = 'Call +49 30 1234567.';
  /** Three days from now by UTC. */
  const day = weekdays[(new Date().getUTCDay() + 2) % 7] ?? 'MONDAY';
  let chats: { always: string; later: string; never: string };
  beforeAll(async () => {
    chats = {
      always: (await addWebChat(server)).id,
      later: (await addWebChat(server, { timeZone: 'UTC', hours: [{ day, from: '09:00', to: '10:00' }], awayMessage }))
        .id,
      never: (await addWebChat(server, { timeZone: 'UTC', hours: [], awayMessage })).id,
    };
  });

  async function wish(inboxId: string, text = 'I want to speak to a person') {
    const { result } = await ask<{ result: { conversation: { id: string }; reply: { text: string } } }>(
      server,
      `mutation ($inboxId: ID!, $text: String!) {
        result: createConversation(input: {
          inboxId: $inboxId, message: { content: { text: $text } }, awaitReply: true, runtimeParameters: { wordsPerSecond: 0 }
        }) { ... on CreateConversationPayload { conversation { id } reply { text } } }
      }`,
      { inboxId, text },
    );
    const { conversation } = await ask<{ conversation: { status: string } }>(
      server,
      'query ($id: ID!) { conversation(id: $id) { status } }',
      { id: result.conversation.id },
    );
    return { text: result.reply.text, status: conversation.status };
  }

  test('hands over when somebody is there', async () => {
    expect(await wish(chats.always)).toEqual({
      status: 'HANDED_OFF',
      text: expect.not.stringContaining('Nobody'),
    });
  });

  test('hands over when nobody is there, and says when somebody will be and how to reach one', async () => {
    const { status, text } = await wish(chats.later);
    expect(status).toBe('HANDED_OFF');
    expect(text).toContain('Nobody is here right now');
    expect(text.toUpperCase()).toContain(`SOMEBODY IS AGAIN ON ${day}`);
    expect(text).toMatch(/at 09:00 \(UTC\)/);
    expect(text).toContain(awayMessage);
  });

  test('hands nothing over when nobody ever is there, and says how to reach one', async () => {
    const { status, text } = await wish(chats.never);
    expect(status).toBe('ACTIVE');
    expect(text).toBe(`Nobody is here who could take over. ${awayMessage}`);
  });

  test('that does not know offers no person whom there is not', async () => {
    const question = 'What is the airspeed velocity of an unladen swallow?';
    expect((await wish(chats.always, question)).text).toContain('speak to a person');
    expect((await wish(chats.never, question)).text).not.toContain('speak to a person');
  });

  test('by a model is told so, and cannot hand over where nobody ever is', () => {
    const services = {} as ToolServices;
    const names = (changes: Partial<Turn>) =>
      toolsOf(turnOf(changes), null, services).map(({ definition }) => definition.name);
    const systemOf = (changes: Partial<Turn>) => {
      const prompter = prompterFor(turnOf(changes), { takesSystemMessages: true, promptTokens: 10_000 });
      return JSON.stringify(prompter({ phase: null, tools: [], exchange: [] })[0]);
    };
    const later = { absence: { until: 'Monday at 09:00 (UTC)', awayMessage } };
    const never = { absence: { until: null, awayMessage: null } };
    expect(names({})).toContain('requestHandoff');
    expect(names(later)).toContain('requestHandoff');
    expect(names(never)).not.toContain('requestHandoff');
    expect(systemOf({})).not.toContain('person');
    expect(systemOf(later)).toContain('Monday at 09:00 (UTC)');
    expect(systemOf(later)).toContain(awayMessage);
    expect(systemOf(never)).toContain('never promise one');
  });
});
