import { expect, test } from 'vitest';
import { isVouchedFor, lookUpRecords, signatureLimits } from '../src/email/letter/dmarc.ts';
import type { ResolveDns } from '../src/email/model.ts';
import { resolveDns, signed, SIGNING_DOMAIN } from './harness/mail.ts';

const from = `ann@${SIGNING_DOMAIN}`;
const to = 'help@shop.example';
const { signatures, headerLines, continuationLines, bodyLines, bodyLine } = signatureLimits;

async function verdict(letter: string, sender = from, dns: ResolveDns = resolveDns) {
  const raw = Buffer.from(letter);
  return isVouchedFor(raw, sender, await lookUpRecords(raw, dns));
}

test('a signed letter is vouched for, also when its lines end in LF alone', async () => {
  const letter = await signed({ from, to, text: 'Hello\n\nAnn' });
  expect(await verdict(letter)).toEqual({ vouchedFor: true });
  expect(await verdict(letter.replaceAll('\r\n', '\n'))).toEqual({ vouchedFor: true });
});

test.each<[string, (letter: string) => string]>([
  ['256 KiB of headers', (letter) => letter.replace('\r\n\r\n', `\r\nX-Long: ${'x'.repeat(256 * 1024)}\r\n\r\n`)],
  [`${headerLines} lines of headers`, (letter) => 'X-Many: x\r\n'.repeat(headerLines) + letter],
  ['a header of more than', (letter) => `X-Folded: x${'\r\n x'.repeat(continuationLines + 1)}\r\n${letter}`],
  [`${signatures} signatures`, (letter) => 'DKIM-Signature: v=1\r\n'.repeat(signatures) + letter],
  ['no sender, or several', (letter) => `From: ${from}\r\n${letter}`],
  [`${bodyLines} lines`, (letter) => letter + '\n'.repeat(bodyLines)],
  [`a line of more than ${bodyLine}`, (letter) => letter + ' '.repeat(bodyLine + 1)],
])(
  'the signatures of a letter with more than its measure are not looked at, and it says so: %s',
  async (what, change) => {
    const { vouchedFor, issue } = await verdict(change(await signed({ from, to, text: 'Hello' })));
    expect(vouchedFor).toBe(false);
    expect(issue).toMatchObject({ code: 'NOT_VERIFIED', text: expect.stringContaining(what) });
  },
);

test('nobody is asked for a letter whose headers are beyond the measure', async () => {
  const letter = 'X-Many: x\r\n'.repeat(headerLines) + (await signed({ from, to, text: 'Hello' }));
  const asked: string[] = [];
  await lookUpRecords(Buffer.from(letter), (name) => {
    asked.push(name);
    return Promise.resolve([]);
  });
  expect(asked).toEqual([]);
});

test('a domain that asks for signatures of the very same domain is not vouched for by the one above it', async () => {
  const sender = `ann@sub.${SIGNING_DOMAIN}`;
  const letter = await signed({ from: sender, to, text: 'Hello' });
  const strict: ResolveDns = (name, type) =>
    name === `_dmarc.${SIGNING_DOMAIN}` ? Promise.resolve([['v=DMARC1; p=reject; adkim=s']]) : resolveDns(name, type);
  expect(await verdict(letter, sender)).toEqual({ vouchedFor: true });
  expect(await verdict(letter, sender, strict)).toEqual({ vouchedFor: false });
  expect(await verdict(await signed({ from, to, text: 'Hello' }), from, strict)).toEqual({ vouchedFor: true });
});

test('a signature with SHA-1 vouches for nothing', async () => {
  expect(await verdict(await signed({ from, to, text: 'Hello' }, 'sha1'))).toEqual({ vouchedFor: false });
});
