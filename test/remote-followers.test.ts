import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Bus, Hint } from '../src/bus/hints.ts';
import { inProcessBus, type Member } from '../src/bus/in-process.ts';
import { ofConversation } from '../src/bus/topics.ts';
import { RemoteFollowers } from '../src/generation/remote-followers.ts';
import { createLogger } from '../src/logger.ts';

const conversationId = 'conv_1';
const logger = createLogger({ level: 'silent' });

let here: Bus;
let elsewhere: Bus;
let asked: Hint[];
let followed: string[];
let followers: RemoteFollowers;

beforeEach(async () => {
  vi.useFakeTimers();
  const group = new Set<Member>();
  [here, elsewhere] = [inProcessBus({ logger, group }), inProcessBus({ logger, group })];
  await Promise.all([here.connect(), elsewhere.connect()]);
  [asked, followed] = [[], []];
  elsewhere.join(ofConversation(conversationId));
  elsewhere.subscribe({ onHint: (hint) => asked.push(hint), onReconnect: () => undefined });
  followers = new RemoteFollowers(here, (id) => followed.push(id));
});
afterEach(async () => {
  followers.close();
  await Promise.all([here.close(), elsewhere.close()]);
  vi.useRealTimers();
});

const answer = () => elsewhere.publish({ kind: 'follows', conversationId }, 'ELSEWHERE');

test('nobody follows a reply before another server says so, which is told once', async () => {
  followers.begin(conversationId);
  await vi.advanceTimersByTimeAsync(0);
  expect(asked).toEqual([{ kind: 'who-follows', conversationId }]);
  expect(followers.follow(conversationId)).toBe(false);
  answer();
  answer();
  expect(followers.follow(conversationId)).toBe(true);
  expect(followed).toEqual([conversationId]);
});

test('the own followers do not count', async () => {
  followers.begin(conversationId);
  await vi.advanceTimersByTimeAsync(0);
  here.publish({ kind: 'follows', conversationId }, 'ELSEWHERE');
  expect(followers.follow(conversationId)).toBe(false);
});

test('a server counts for as long as it answers, and one that begins to follow later is told of anew', async () => {
  followers.begin(conversationId);
  await vi.advanceTimersByTimeAsync(0);
  answer();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(followers.follow(conversationId)).toBe(true);
  expect(asked).toHaveLength(3);
  answer();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(followers.follow(conversationId)).toBe(true);
  await vi.advanceTimersByTimeAsync(3_000);
  expect(followers.follow(conversationId)).toBe(false);
  answer();
  expect(followed).toEqual([conversationId, conversationId]);
});

test('a reply that has ended asks nobody, and others of its conversation go on', async () => {
  const [first, second] = [followers.begin(conversationId), followers.begin(conversationId)];
  await vi.advanceTimersByTimeAsync(0);
  answer();
  first();
  expect(followers.follow(conversationId)).toBe(true);
  second();
  expect(followers.follow(conversationId)).toBe(false);
  const count = asked.length;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked).toHaveLength(count);
});
