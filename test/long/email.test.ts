import { afterAll, expect, test } from 'vitest';
import type { Target } from '../harness/client.ts';
import { useDatabase } from '../harness/database.ts';
import { mayPass } from '../harness/fleet.ts';
import { addEmailInbox, lettersOf, openMailServer, post, written } from '../harness/mail.ts';
import { type Program, usePrograms } from '../harness/process.ts';

const database = useDatabase();
const programs = usePrograms();
const KEY = 'key-of-the-server-that-sends-letters';
const mail = await openMailServer();
afterAll(() => mail.close());

const start = () =>
  programs.start({
    DATABASE_URL: database.url,
    BOOTSTRAP_API_KEY: KEY,
    SMTP_URL: mail.url,
    LEASE_SECONDS: '1',
    LOG_LEVEL: 'error',
  });

const [LETTERS, KILLS] = [6, 10];

test('a receiver that drops repeated Message-IDs has each answer once, and each try was the same, while the server is killed', async () => {
  let server: Program = await start();
  const target = (): Target => ({ url: server.url, key: KEY });
  const inbox = await addEmailInbox(target(), 'help@shop.example');
  const tries = new Map<string, Set<string>>();
  let [kills, given] = [0, 0];
  let killing = Promise.resolve();
  let resolveComplete: () => void = () => undefined;
  const complete = new Promise<void>((resolve) => (resolveComplete = resolve));
  mail.decide = async ({ raw, headers }) => {
    given += 1;
    const id = headers['message-id'] ?? '';
    tries.set(id, (tries.get(id) ?? new Set()).add(raw));
    // A reply that runs when its server is killed fails, and is no letter: all are complete before the first kill.
    await complete;
    const victim = server;
    // The letter is taken, and the server never learns of it. Letters that it sends at the same time share its end.
    killing = killing.then(async () => {
      if (server !== victim || kills >= KILLS) return;
      kills += 1;
      await victim.kill('SIGKILL');
      server = await start();
    });
    await killing;
    return null;
  };
  /** Again, whenever the server has just been killed. */
  const insist = async <T>(work: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!mayPass(error)) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  const senders = Array.from({ length: LETTERS }, (_, n) => `person${n}@example.com`);
  for (const from of senders) {
    const letter = written({ From: from, text: 'What is a conversation?' });
    const status = await insist(() => post(server, inbox, letter));
    expect([200, 202]).toContain(status);
  }
  const outgoing = async () => (await lettersOf(target(), { direction: 'OUT' })).length;
  await expect.poll(outgoing, { timeout: 25_000 }).toBe(LETTERS);
  resolveComplete();
  for (const from of senders) await mail.until(from, 1);
  const waiting = () => insist(() => lettersOf(target(), { status: 'WAITING' }));
  await expect.poll(async () => (await waiting()).length, { timeout: 300_000, interval: 500 }).toBe(0);

  expect(kills).toBe(KILLS);
  const out = await lettersOf(target(), { direction: 'OUT' });
  expect(out.map(({ status }) => status)).toEqual(senders.map(() => 'DONE'));
  expect(out.map(({ recipient }) => recipient).toSorted()).toEqual(senders);
  // What a receiver keeps that knows letters by their ids.
  const kept = new Map(mail.letters.map((letter) => [letter.headers['message-id'], letter.recipient]));
  expect([...kept.values()].toSorted()).toEqual(senders);
  expect([...tries.values()].map((same) => same.size)).toEqual(senders.map(() => 1));
  // Each letter that came in is one message, with one answer.
  const incoming = await lettersOf(target(), { direction: 'IN' });
  const roles = incoming.map(({ conversation }) => conversation?.messages.nodes.map(({ role }) => role).join());
  expect(roles).toEqual(senders.map(() => 'USER,AGENT'));
  console.log(`${given} tries of ${LETTERS} letters, ${kills} kills`);
}, 450_000);
