import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { readLetter } from '../src/email/letter/read-letter.ts';

const folder = new URL('fixtures/letters/', import.meta.url);
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.eml'))
  .map((name) => name.slice(0, -4));
const fixture = (name: string) => readFileSync(new URL(`${name}.eml`, folder));

/** Letters of whose new part the reading is known to fall short. */
const KNOWN_MISSES: string[] = [];

const letter = (headers: string, body = 'Hello') => Buffer.from(`From: Ann <ann@home.example>\n${headers}\n\n${body}`);
const read = (headers: string, body?: string) => readLetter(letter(headers, body));

test('of sixty letters as mail programs write them, the new part is what a person would call new', async () => {
  expect(names).toHaveLength(60);
  const misses: string[] = [];
  for (const name of names) {
    const expected = readFileSync(new URL(`${name}.txt`, folder), 'utf8').trim();
    const { newText, issues } = await readLetter(fixture(name));
    expect(issues, name).toEqual([]);
    if (newText !== expected) misses.push(name);
  }
  expect(misses).toEqual(KNOWN_MISSES);
});

test('the whole text keeps what the new part leaves out', async () => {
  const { text, newText } = await readLetter(fixture('gmail-web-en'));
  expect(text).toContain('> Shall we send it again?');
  expect(newText).not.toContain('Shall we');
});

test('headers are read as they are meant', async () => {
  const read = await readLetter(
    letter(
      'To: "Support, Lumen" <help@lumen.example>, Team: a@b.example, c@d.example;\nCc: nobody\nReply-To: <other@home.example>\n' +
        'Message-ID:\n <1@home.example>\nIn-Reply-To: <b@lumen.example>\nReferences: <a@lumen.example>\n\t<b@lumen.example>\n' +
        'Date: Tue, 3 Mar 2026 16:12:09 +0100 (CET)\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\n =?utf-8?Q?_aus_K=C3=B6ln?=',
    ),
  );
  expect(read).toMatchObject({
    messageId: '1@home.example',
    inReplyTo: 'b@lumen.example',
    references: ['a@lumen.example', 'b@lumen.example'],
    from: { address: 'ann@home.example', name: 'Ann' },
    to: [
      { address: 'help@lumen.example', name: 'Support, Lumen' },
      { address: 'a@b.example', name: null },
      { address: 'c@d.example', name: null },
    ],
    cc: [],
    replyTo: [{ address: 'other@home.example', name: null }],
    subject: 'Grüße aus Köln',
    date: new Date('2026-03-03T15:12:09Z'),
    text: 'Hello',
    automatic: null,
    issues: [],
  });
});

// The bytes of each, as no encoder for them comes with Node.
test.each([
  ['utf-8', 'Grüße', '4772c3bcc39f65'],
  ['iso-8859-1', 'Grüße', '4772fcdf65'],
  ['iso-2022-jp', '日本語', '1b2442467c4b5c386c1b2842'],
  ['shift_jis', '日本語', '93fa967b8cea'],
  ['windows-1251', 'Привет', 'cff0e8e2e5f2'],
  ['gb18030', '中文', 'd6d0cec4'],
  ['big5', '中文', 'a4a4a4e5'],
  ['windows-1256', 'مرحبا', 'e3d1cdc8c7'],
])('a subject, a name and a file name in %s are read, encoded or as bare bytes', async (charset, text, hex) => {
  const bytes = Buffer.from(hex, 'hex');
  const body = (name: Buffer) =>
    Buffer.concat([
      Buffer.from('Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n'),
      Buffer.from(`Content-Type: text/plain; charset=${charset}\r\n\r\n`),
      bytes,
      Buffer.from('\r\n--q\r\nContent-Type: image/png\r\nContent-Disposition: attachment; filename="'),
      name,
      Buffer.from('.png"\r\n\r\nx\r\n--q--\r\n'),
    ]);
  const encoded = Buffer.from(`=?${charset}?B?${bytes.toString('base64')}?=`);
  for (const written of [bytes, encoded]) {
    const raw = [
      Buffer.from('From: '),
      written,
      Buffer.from(' <a@b.example>\r\nSubject: '),
      written,
      Buffer.from('\r\n'),
    ];
    const { subject, from, text: whole, attachments } = await readLetter(Buffer.concat([...raw, body(written)]));
    expect([subject, from?.name, whole, attachments[0]?.filename]).toEqual([text, text, text, `${text}.png`]);
  }
});

test('the marks of writing direction stay, other control characters go', async () => {
  const { newText, subject } = await read(
    'Subject: a\u0007b\u200f\nContent-Type: text/plain; charset=utf-8',
    '\ufeffab\u0000c\u001b[31m \u200fשלום\u200e \u202bمرحبا\u202c\r\nx\ty\u0085z',
  );
  expect(newText).toBe('abc[31m \u200fשלום\u200e \u202bمرحبا\u202c\nx\ty\nz');
  expect(subject).toBe('ab\u200f');
});

test('flowed text is joined, but never with the quote above it', async () => {
  const { newText } = await read(
    'Subject: Re: x\nContent-Type: text/plain; format=flowed',
    'On 3 March 2026 16:12, Lumen wrote:\n> Which one? \nThe green \none.\n-- \nAnn',
  );
  expect(newText).toBe('The green one.');
});

test.each([
  ['Auto-Submitted: auto-replied', 'AUTO_REPLY'],
  ['Auto-Submitted: auto-generated (failure)', 'AUTO_REPLY'],
  ['X-Auto-Response-Suppress: All', 'AUTO_REPLY'],
  ['Precedence: auto_reply', 'AUTO_REPLY'],
  ['Return-Path: <>\nAuto-Submitted: auto-replied', 'AUTO_REPLY'],
  ['Content-Type: multipart/report; report-type=disposition-notification; boundary=q', 'AUTO_REPLY'],
  ['Content-Type: multipart/report; report-type=delivery-status; boundary=q', 'BOUNCE'],
  ['X-Failed-Recipients: a@b.example', 'BOUNCE'],
  ['Return-Path: <>', 'BOUNCE'],
  ['List-Id: <news.lumen.example>', 'LIST'],
  ['Precedence: bulk', 'LIST'],
  ['Auto-Submitted: no', null],
  ['Return-Path: <ann@home.example>', null],
])('%s: a letter is %s', async (headers, automatic) => {
  expect((await read(headers)).automatic).toBe(automatic);
});

const asPostmaster = (headers: string) =>
  readLetter(Buffer.from(`From: postmaster@home.example\n${headers}Subject: Lamp\n\nHello`));

test('who keeps a mail server may write like anybody, and their machine tells of bounces', async () => {
  expect((await asPostmaster('')).automatic).toBeNull();
  expect((await asPostmaster('Auto-Submitted: auto-replied\n')).automatic).toBe('BOUNCE');
  expect((await asPostmaster('Return-Path: <>\n')).automatic).toBe('BOUNCE');
});

test.each([
  ['failed', 'BOUNCE'],
  ['delayed', 'AUTO_REPLY'],
  ['delivered', 'AUTO_REPLY'],
])('a report that a letter was %s is %s', async (action, automatic) => {
  const { automatic: found } = await read(
    'Return-Path: <>\nContent-Type: multipart/report; report-type=delivery-status; boundary=q',
    `--q\n\nSee below\n--q\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; m.example\n\nFinal-Recipient: rfc822; a@b.example\nAction: ${action}\n--q--\n`,
  );
  expect(found).toBe(automatic);
});

test('the sender of the envelope counts for more than a header', async () => {
  const raw = letter('Return-Path: <ann@home.example>');
  expect((await readLetter(raw, { sender: '' })).automatic).toBe('BOUNCE');
});

test('what an attached letter says is part of the new text', async () => {
  const { newText, attachments } = await read(
    'Content-Type: multipart/mixed; boundary=q',
    '--q\n\nWhat is this?\n--q\nContent-Type: message/rfc822\n\nFrom: Bo <bo@x.example>\nSubject: Offer\n\nBuy now\n--q--\n',
  );
  expect(newText).toBe('What is this?\n\nBo <bo@x.example>\nOffer\nBuy now');
  expect(attachments).toMatchObject([{ filename: 'file-1.eml', contentType: 'message/rfc822', inline: false }]);
});

test('a picture that the text shows is told from one that was sent for itself', async () => {
  const picture = (id: string) => `--q\nContent-Type: image/png; name=${id}.png\nContent-ID: <${id}@x>\n\nx\n`;
  const html = '--q\nContent-Type: text/html\n\n<p>Hi<img src="cid:logo@x"></p>\n';
  const { attachments } = await read(
    'Content-Type: multipart/related; boundary=q',
    html + picture('logo') + picture('photo') + '--q--\n',
  );
  expect(attachments).toMatchObject([
    { filename: 'logo.png', inline: true, contentId: 'logo@x' },
    { filename: 'photo.png', inline: false, contentId: 'photo@x' },
  ]);
});

test('a file name is bare: no folders, no control characters, nothing that turns it around', async () => {
  const { attachments } = await read(
    'Content-Type: multipart/mixed; boundary=q',
    ['../../etc/passwd', 'C:\\x\\a.pdf', '\u202efdp.exe', '..', `${'n'.repeat(500)}.pdf`]
      .map((name) => `--q\nContent-Type: application/pdf\nContent-Disposition: attachment; filename="${name}"\n\nx\n`)
      .join('') + '--q--\n',
  );
  const [passwd, pdf, turned, dots, long] = attachments.map(({ filename }) => filename);
  expect([passwd, pdf, turned, dots]).toEqual(['passwd', expect.stringMatching(/a\.pdf$/), 'fdp.exe', 'file-4.pdf']);
  expect(long).toHaveLength(96);
  expect(long).toMatch(/n….*\.pdf$/);
});

test('of two hundred files twenty are taken, those for themselves first, and an issue names others', async () => {
  const file = (name: string, type = 'image/png') =>
    `--q\nContent-Type: ${type}; name="${name}"\nContent-ID: <${name}>\n\nx\n`;
  const shown = Array.from({ length: 199 }, (_, index) => `p${index}`);
  const { attachments, issues } = await read(
    'Content-Type: multipart/related; boundary=q',
    `--q\nContent-Type: text/html\n\n${shown.map((name) => `<img src="cid:${name}">`).join('')}Hi\n` +
      shown.map((name) => file(name)).join('') +
      file('bill.pdf', 'application/pdf') +
      '--q--\n',
  );
  expect(attachments).toHaveLength(20);
  expect(attachments.at(-1)?.filename).toBe('bill.pdf');
  expect(issues).toMatchObject([
    { code: 'TOO_MANY_FILES', text: expect.stringContaining('180 were left out: p19, p20') },
  ]);
});

test.each([
  ['TOO_MANY_PARTS', 'Content-Type: multipart/mixed; boundary=q', '--q\n\nHello\n' + '--q\n\n'.repeat(20_000)],
  ['TOO_MANY_HEADERS', 'X-A: b\n'.repeat(45_000) + 'X-C: d', 'Hello'],
  ['TEXT_CUT', 'Subject: x', 'Hello\n'.repeat(25_000)],
  ['TEXT_CUT', 'Content-Type: text/html', '<p>Hello'.repeat(12_000)],
])('beyond its limit, %s is an issue and the rest is read', async (code, headers, body) => {
  const { issues, from, newText } = await read(headers, body);
  expect(issues.map((issue) => issue.code)).toEqual([code]);
  expect(from?.address).toBe('ann@home.example');
  expect(newText).toMatch(/^Hello/);
  expect(newText.length).toBeLessThanOrEqual(200_000);
});

test('parts within parts beyond the limit leave what comes before them', async () => {
  const nested = Array.from(
    { length: 300 },
    (_, depth) => `--b${depth}\nContent-Type: multipart/mixed; boundary=b${depth + 1}\n\n`,
  );
  const { issues, from } = await read('Content-Type: multipart/mixed; boundary=b0', nested.join(''));
  expect(issues.map(({ code }) => code)).toContain('TOO_DEEP');
  expect(from?.address).toBe('ann@home.example');
});

test('an empty letter is read as one', async () => {
  expect(await readLetter(Buffer.alloc(0))).toMatchObject({
    from: null,
    subject: '',
    text: '',
    newText: '',
    date: null,
  });
});
