import { afterEach, expect, test } from 'vitest';
import { pino } from 'pino';
import { lookUpRecords } from '../src/email/letter/dmarc.ts';
import { LetterReader } from '../src/email/letter/letter-reader.ts';
import { resolveDns, signed, SIGNING_DOMAIN } from './harness/mail.ts';

const logger = pino({ level: 'silent' });
const readers: LetterReader[] = [];
afterEach(async () => {
  await Promise.all(readers.splice(0).map((reader) => reader.close()));
});
function reader(limits?: ConstructorParameters<typeof LetterReader>[1]): LetterReader {
  const made = new LetterReader(logger, limits);
  readers.push(made);
  return made;
}
const letter = (body: string) => Buffer.from(`From: ann@home.example\nSubject: Lamp\n\n${body}`);

test('a letter is read in a worker, with its files', async () => {
  const raw = Buffer.from(
    'From: ann@home.example\nDate: Tue, 3 Mar 2026 16:12:09 +0100\nContent-Type: multipart/mixed; boundary=q\n\n' +
      '--q\n\nHello\n--q\nContent-Type: image/png; name=a.png\nContent-Transfer-Encoding: base64\n\nAQID\n--q--\n',
  );
  const { newText, date, attachments } = (await reader().read(raw)).letter;
  expect(newText).toBe('Hello');
  expect(date).toEqual(new Date('2026-03-03T15:12:09Z'));
  expect(Array.from(attachments[0]?.bytes ?? [])).toEqual([1, 2, 3]);
});

test('of a letter that takes too long only the headers are read, and the next one is read whole', async () => {
  const reading = reader({ milliseconds: 2000 });
  // Many times as long as it may take, and not so much that its memory would be too large.
  const [cut, usual] = await Promise.all([reading.read(letter('\n'.repeat(1_000_000))), reading.read(letter('Hello'))]);
  expect(cut.letter).toMatchObject({ subject: 'Lamp', text: '', issues: [{ code: 'BROKEN' }] });
  expect(usual.letter).toMatchObject({ subject: 'Lamp', text: 'Hello', issues: [] });
});

test('a letter that takes too much memory ends neither this process nor the reading of others', async () => {
  const small = reader({ megabytes: 64 });
  const [large, next] = await Promise.all([small.read(letter('\n'.repeat(2_500_000))), small.read(letter('Hello'))]);
  expect(large.letter).toMatchObject({ subject: 'Lamp', text: '', issues: [{ code: 'BROKEN' }] });
  expect(next.letter).toMatchObject({ text: 'Hello', issues: [] });
}, 60_000);

test('letters beyond the number that may wait are refused', async () => {
  const narrow = reader({ waiting: 1 });
  const [one, two, three] = await Promise.allSettled([1, 2, 3].map(() => narrow.read(letter('Hello'))));
  expect([one?.status, two?.status, three?.status]).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  await expect(reader({ waitingBytes: 10 }).read(letter('Hello'))).rejects.toThrow('Too many letters');
});

test('who no longer waits leaves its place, and the others are read', async () => {
  const narrow = reader({ waiting: 1 });
  const leaving = new AbortController();
  const first = narrow.read(letter('Hello'));
  const second = narrow.read(letter('Hello'), { signal: leaving.signal });
  leaving.abort(new Error('gone'));
  await expect(second).rejects.toThrow('gone');
  expect((await narrow.read(letter('Third'))).letter.text).toBe('Third');
  expect((await first).letter.text).toBe('Hello');
});

test('whether a letter is vouched for is told by what was looked up, over all of it', async () => {
  const raw = Buffer.from(await signed({ from: `ann@${SIGNING_DOMAIN}`, to: 'help@shop.example', text: 'Hello' }));
  const records = await lookUpRecords(raw, resolveDns);
  const tampered = Buffer.concat([raw, Buffer.from('And more')]);
  const reading = reader();
  expect((await reading.read(raw, { records })).vouchedFor).toBe(true);
  expect((await reading.read(tampered, { records })).vouchedFor).toBe(false);
  expect((await reading.read(raw)).vouchedFor).toBe(false);
});

test('closing fails what waits', async () => {
  const closing = reader();
  const waiting = Promise.allSettled([closing.read(letter('a')), closing.read(letter('b'))]);
  await closing.close();
  expect((await waiting).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  await expect(closing.read(letter('c'))).rejects.toThrow();
});
