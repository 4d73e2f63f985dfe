import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import readXlsxFile from 'read-excel-file/node';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { decodeId, encodeId } from '../src/ids.ts';
import { createLogger } from '../src/logger.ts';
import { download } from '../src/records/download.ts';
import { exportSheet } from '../src/records/export-sheet.ts';
import { csv } from '../src/records/line-formats.ts';
import { type Cell, type Page, type Source, sourceOf } from '../src/records/sources.ts';
import { openStorage, type Storage } from '../src/storage/storage.ts';
import { addOrganization, firstOrganization, type Organization } from './harness/access.ts';
import { createConversation } from './harness/commands.ts';
import { ask, RefusedError, subscribeWs, type Target } from './harness/client.ts';
import { addManyQuestions, addQuestions } from './harness/questions.ts';
import { limitedPoolOf, useServer } from './harness/server.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

const dataDir = createTemporaryFolder();
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));
const server = useServer({ config: { dataDir } });
let conversationId: string;
let foreign: Organization;

const long = '𝄞'.repeat(20_000);
beforeAll(async () => {
  const { pool } = server.services;
  const organizationId = await firstOrganization(server.services);
  conversationId = await addQuestions(pool, organizationId, [
    { question: 'Late on the 1st?', answer: 'Yes, in UTC.', at: new Date('2026-03-01T23:30:00Z') },
    { question: '=1+1, "quoted"\nand more', answer: '@SUM(A1)', at: new Date('2026-03-02T12:00:00Z') },
    { question: 'Nobody knows 100%', at: new Date('2026-03-03T12:00:00Z') },
    { question: long, answer: '\u0007bell', at: new Date('2026-04-01T12:00:00Z') },
  ]);
  foreign = await addOrganization(server.services);
});

interface Job {
  id: string;
  __typename: string;
  status: string;
  progress: number;
  rows: number;
  bytes: number | null;
  url: string | null;
  format: string;
}
const jobFields = '... on Export { id __typename status progress rows bytes url format }';

async function start(input: string, target: Target = server): Promise<Job> {
  const { result } = await ask<{ result: { export: Job } }>(
    target,
    `mutation { result: startExport(input: { ${input} }) { __typename ... on StartExportPayload { export { ${jobFields} } }
      ... on InvalidInputError { issues { path code } } } }`,
  );
  return result.export;
}

async function finished(id: string): Promise<Job[]> {
  const jobs: Job[] = [];
  for await (const { jobProgress } of subscribeWs<{ jobProgress: Job }>(
    server,
    `subscription { jobProgress(id: "${id}") { ${jobFields} } }`,
  )) {
    jobs.push(jobProgress);
  }
  return jobs;
}

async function file(input: string): Promise<{ job: Job; response: Response; body: Buffer }> {
  const { id } = await start(input);
  const job = (await finished(id)).at(-1);
  if (!job?.url) throw new Error(`The export has no file: ${JSON.stringify(job)}`);
  const response = await fetch(job.url);
  return { job, response, body: Buffer.from(await response.arrayBuffer()) };
}

/** Has jobs of the organization wait, as while another of its jobs runs. Returns what lets them run. */
async function holdTurn(): Promise<() => Promise<unknown>> {
  const { pool } = server.services;
  const values = [`jobs of ${await firstOrganization(server.services)}`];
  const text = `INSERT INTO graphile_worker._private_job_queues (queue_name, locked_at, locked_by) VALUES ($1, now(), 'test')
    ON CONFLICT (queue_name) DO UPDATE SET locked_at = now(), locked_by = 'test' WHERE _private_job_queues.locked_at IS NULL`;
  // The job before may still hold it for a moment after it is done.
  await expect.poll(async () => (await pool.query(text, values)).rowCount).toBe(1);
  return () =>
    pool.query(
      `UPDATE graphile_worker._private_job_queues SET locked_at = NULL, locked_by = NULL WHERE locked_by = 'test'`,
    );
}

const march = 'filter: { startDate: "2026-03-01", endDate: "2026-03-31" }';

async function questions(filter: string, target: Target = server): Promise<(string | null)[]> {
  const { records } = await ask<{
    records: { nodes: { question: { text: string }; answer: { text: string } | null }[] };
  }>(
    target,
    `{ records(filter: { ${filter} }) { nodes { question { text } answer { text } askedAt conversation { id } } } }`,
  );
  return records.nodes.map(({ question }) => question.text);
}

describe('records', () => {
  test('are questions with their answers, by days, and by both texts', async () => {
    const days = 'startDate: "2026-03-01", endDate: "2026-03-03"';
    expect(await questions(days)).toEqual(['Late on the 1st?', '=1+1, "quoted"\nand more', 'Nobody knows 100%']);
    expect(await questions(`${days}, userMessage: "NOBODY"`)).toEqual(['Nobody knows 100%']);
    expect(await questions(`${days}, userMessage: "100%"`)).toEqual(['Nobody knows 100%']);
    expect(await questions(`${days}, userMessage: "1_1"`)).toEqual([]);
    expect(await questions(`${days}, botMessage: "in utc"`)).toEqual(['Late on the 1st?']);
    expect(await questions(days, { url: server.url, key: foreign.key })).toEqual([]);
  });

  test('are found by how their answers were rated, and exported with that', async () => {
    const { pool } = server.services;
    await pool.query(
      `INSERT INTO feedback (message_id, rating, comment) SELECT a.id, 'DOWN', 'No!' FROM message a JOIN message q ON q.id = a.in_reply_to_id
        WHERE a.conversation_id = $1 AND q.position = 2`,
      [conversationId],
    );
    const days = 'startDate: "2026-03-01", endDate: "2026-03-03"';
    expect(await questions(`${days}, rating: DOWN`)).toEqual(['=1+1, "quoted"\nand more']);
    expect(await questions(`${days}, rating: UP`)).toEqual([]);
    const { body } = await file(`kind: RECORDS, format: JSONL, filter: { ${days}, rating: DOWN }`);
    expect(JSON.parse(body.toString())).toMatchObject({ answer: '@SUM(A1)', rating: 'DOWN', ratingComment: 'No!' });
  });

  test("have the days of the organization's time zone", async () => {
    const second = 'startDate: "2026-03-02", endDate: "2026-03-02"';
    expect(await questions(second)).toHaveLength(1);
    const set = (timeZone: string) =>
      ask<{ result: { __typename: string } }>(
        server,
        `mutation { result: updateOrganization(input: { timeZone: "${timeZone}" }) { __typename } }`,
      );
    await set('Europe/Berlin');
    expect(await questions(second)).toEqual(['Late on the 1st?', '=1+1, "quoted"\nand more']);
    expect((await set('Europe/Atlantis')).result.__typename).toBe('InvalidInputError');
    await set('UTC');
  });

  test('pair a question that was answered anew with the latest answer', async () => {
    const { pool } = server.services;
    const { rows } = await pool.query<{ id: string }>(
      `INSERT INTO message (id, conversation_id, organization_id, position, role, author, status, created_version, in_reply_to_id)
        SELECT gen_random_uuid(), conversation_id, organization_id, 99, 'AGENT', '{}', 'STOPPED', 1, id
        FROM message WHERE conversation_id = $1 AND position = 0 RETURNING id`,
      [conversationId],
    );
    const { records } = await ask<{ records: { nodes: { answer: { id: string; status: string } }[] } }>(
      server,
      `{ records(filter: { startDate: "2026-03-01", endDate: "2026-03-01" }) { nodes { answer { id status } } } }`,
    );
    expect(records.nodes).toEqual([{ answer: { id: encodeId('Message', rows[0]?.id ?? ''), status: 'STOPPED' } }]);
    await pool.query('DELETE FROM message WHERE id = $1', [rows[0]?.id]);
  });

  test.each([
    ['reversed', 'startDate: "2026-03-02", endDate: "2026-03-01"'],
    ['more than a year apart', 'startDate: "2025-01-01", endDate: "2026-01-02"'],
    ['no days', 'startDate: "2026-02-30", endDate: "2026-03-01"'],
    ['a time', 'startDate: "2026-02-01T00:00:00Z", endDate: "2026-03-01"'],
  ])('are refused for dates that are %s', async (_what, dates) => {
    const failure: unknown = await questions(dates).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RefusedError);
    expect(failure).toMatchObject({ errors: [{ extensions: { code: 'BAD_USER_INPUT' } }] });
  });
});

describe('an export', () => {
  test('is a CSV file in which formulas are inert', async () => {
    const { job, response, body } = await file(`kind: RECORDS, format: CSV, ${march}`);
    expect(job).toMatchObject({ status: 'DONE', progress: 1, rows: 3, bytes: body.length });
    expect(response.headers.get('content-type')).toContain('text/csv');
    expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename="records-.*\.csv"$/);
    expect(response.headers.get('content-security-policy')).toContain('sandbox');
    const text = body.toString();
    expect(text).toMatch(/^askedAt,question,answeredAt,answer,.*\r\n/);
    expect(text).toContain(
      `2026-03-02T12:00:00.000Z,"'=1+1, ""quoted""\nand more",2026-03-02T12:00:00.000Z,'@SUM(A1),DONE,`,
    );
  });

  test('is a file of JSON lines, each with the same fields', async () => {
    const { body } = await file(`kind: MESSAGES, format: JSONL, ${march}`);
    const lines = body
      .toString()
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(lines).toHaveLength(5);
    expect(lines[0]).toMatchObject({
      conversationId: encodeId('Conversation', conversationId),
      role: 'USER',
      text: 'Late on the 1st?',
      createdAt: '2026-03-01T23:30:00.000Z',
    });
  });

  test('is an Excel file with types, texts that are no formulas, and long ones cut', async () => {
    const { body } = await file(
      'kind: RECORDS, format: XLSX, filter: { startDate: "2026-03-01", endDate: "2026-04-30" }',
    );
    const [sheet] = await readXlsxFile(body);
    const rows = sheet?.data ?? [];
    expect(rows[0]?.slice(0, 4)).toEqual(['askedAt', 'question', 'answeredAt', 'answer']);
    expect(rows[2]?.slice(0, 4)).toEqual([
      new Date('2026-03-02T12:00:00Z'),
      '=1+1, "quoted"\nand more',
      new Date('2026-03-02T12:00:00Z'),
      '@SUM(A1)',
    ]);
    expect(rows[3]?.[3]).toBeNull();
    const cut = String(rows[4]?.[1]);
    expect(cut.length).toBeLessThanOrEqual(32_767);
    expect(cut).toMatch(/^𝄞+… \[cut\]$/u);
    expect(rows[4]?.[3]).toBe('bell');
  });

  test.each(['CONVERSATIONS', 'EVENTS'])('can be of %s', async (kind) => {
    const filter = kind === 'EVENTS' ? '' : 'filter: { startDate: "2026-01-01", endDate: "2026-12-31" }';
    const { body, job } = await file(`kind: ${kind}, format: JSONL, ${filter}`);
    expect(body.toString().split('\n').length - 1).toBe(job.rows);
  });

  test('cannot be had by an address that is altered, for another, or expired', async () => {
    const { job } = await file(`kind: RECORDS, format: JSONL, ${march}`);
    const url = new URL(job.url ?? '');
    const changed = (change: (url: URL) => void) => {
      const copy = new URL(url);
      change(copy);
      return fetch(copy).then(({ status }) => status);
    };
    const later = String(Number(url.searchParams.get('expires')) + 1);
    expect(await changed(() => undefined)).toBe(200);
    expect(await changed(({ searchParams }) => searchParams.set('expires', later))).toBe(404);
    expect(await changed(({ searchParams }) => searchParams.set('expires', '1'))).toBe(404);
    expect(await changed(({ searchParams }) => searchParams.delete('signature'))).toBe(404);
    const other = await file(`kind: RECORDS, format: JSONL, ${march}`);
    expect(await changed((copy) => (copy.pathname = new URL(other.job.url ?? '').pathname))).toBe(404);
  });

  test('whose file cannot be read is cut off, and the log says so', async () => {
    const { job } = await file(`kind: RECORDS, format: JSONL, ${march}`);
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const faults = createLogger({ plain: false, destination });
    const broken = { read: () => Promise.reject(new Error('There is no such file.')) };
    const { pool } = server.services;
    const http = createServer((req, res) => void download({ pool, storage: broken, logger: faults }, req, res));
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void http.close());
    const address = http.address();
    const url = new URL(job.url ?? '');
    url.host = `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
    await expect(fetch(url).then((response) => response.text())).rejects.toThrow();
    expect(lines).toEqual([expect.stringContaining('could not send the file of an export')]);
  });

  test('cannot be had once it has expired, even before its file is removed', async () => {
    const { job } = await file(`kind: RECORDS, format: JSONL, ${march}`);
    await server.services.pool.query('UPDATE job SET expires_at = now() WHERE id = $1', [decodeId('Export', job.id)]);
    expect((await fetch(job.url ?? '')).status).toBe(404);
    expect((await finished(job.id)).at(-1)).toMatchObject({ status: 'DONE', url: null });
  });

  test('is refused without days, with days in the wrong order, and with texts where there are none', async () => {
    const refused = async (input: string) => {
      const { result } = await ask<{ result: { issues: { path: string[] }[] } }>(
        server,
        `mutation { result: startExport(input: { ${input} }) { ... on InvalidInputError { issues { path } } } }`,
      );
      return result.issues.map(({ path }) => path);
    };
    expect(await refused('kind: RECORDS, format: CSV')).toEqual([['filter']]);
    const reversed = 'filter: { startDate: "2026-03-02", endDate: "2026-03-01" }';
    expect(await refused(`kind: RECORDS, format: CSV, ${reversed}`)).toEqual([['filter', 'endDate']]);
    const texts = 'filter: { startDate: "2026-03-01", endDate: "2026-03-01", userMessage: "x" }';
    expect(await refused(`kind: MESSAGES, format: CSV, ${texts}`)).toEqual([['filter']]);
    const rated = 'filter: { startDate: "2026-03-01", endDate: "2026-03-01", rating: UP }';
    expect(await refused(`kind: CONVERSATIONS, format: CSV, ${rated}`)).toEqual([['filter']]);
    expect(await refused(`kind: EVENTS, format: CSV, since: "nowhere"`)).toEqual([['since']]);
  });

  test('of events ends with what was committed when it was asked for', async () => {
    const early = await createConversation(server);
    const open = await holdTurn();
    const { id } = await start('kind: EVENTS, format: JSONL');
    const late = await createConversation(server);
    await open();
    const [job] = (await finished(id)).slice(-1);
    const body = await (await fetch(job?.url ?? '')).text();
    expect(body).toContain(early.conversation.id);
    expect(body).not.toContain(late.conversation.id);
  });

  test('that waits can be cancelled, and is then never run', async () => {
    const open = await holdTurn();
    const { id } = await start(`kind: RECORDS, format: CSV, ${march}`);
    const { result } = await ask<{ result: { job: Job } }>(
      server,
      `mutation { result: cancelJob(input: { jobId: "${id}" }) { ... on CancelJobPayload { job { id ${jobFields} } } } }`,
    );
    expect(result.job).toMatchObject({ id, status: 'CANCELLED', url: null });
    await open();
    expect((await finished(id)).map(({ status }) => status)).toEqual(['CANCELLED']);
  });
});

test('a page is chosen from a bounded number of rows of its days, however few of them the filter lets through', async () => {
  const { services } = server;
  const { id: organizationId } = await addOrganization(services);
  await addManyQuestions(services.pool, organizationId, 1500);
  const pages = async (endDate: string, userMessage: string | null) => {
    const source = sourceOf(limitedPoolOf(server), organizationId, 'RECORDS', {
      startDate: '2026-01-01',
      endDate,
      userMessage,
    });
    const first = await source.page(null);
    return [first, ...(first.next === null ? [] : [await source.page(first.next)])];
  };
  const outline = (found: Page[]) => found.map(({ rows, next, part }) => [rows.length, next === null, part < 1]);
  const whole = [
    [1000, false, true],
    [500, true, false],
  ];
  expect(outline(await pages('2026-01-01', null))).toEqual(whole);
  expect((await pages('2026-01-01', null)).flatMap(({ rows }) => rows.map(([, question]) => question))).toEqual(
    Array.from({ length: 1500 }, (_, n) => `=${n} plus what, "exactly"?`),
  );
  expect(outline(await pages('2026-01-01', '=1234 '))).toEqual([
    [0, false, true],
    [1, true, false],
  ]);
  await services.pool.query(
    `UPDATE message SET created_at = created_at + interval '1 day' WHERE organization_id = $1 AND position >= 20`,
    [organizationId],
  );
  expect(outline(await pages('2026-01-01', null))).toEqual([[10, true, false]]);
});

describe('an Excel file', () => {
  let storage: Storage;
  beforeAll(async () => {
    storage = await openStorage({ dataDir });
  });
  const context = {
    signal: new AbortController().signal,
    attempt: 1,
    isLast: true,
    progress: () => undefined,
    save: () => Promise.resolve(),
  };
  const folder = 'sheets';
  const claim = 'test';
  const pageOf = (rows: Cell[][], next: string | null): Promise<Page> => Promise.resolve({ rows, next, part: 0 });
  const written = async (source: Source, sheetRows?: number) => {
    const state = await exportSheet({ source, storage, folder, claim, context }, sheetRows);
    const book = await buffer(await storage.read(state.parts[0] ?? ''));
    expect(state.bytes).toBe(book.length);
    return { state, sheets: (await readXlsxFile(book, { trim: false })).map(({ data }) => data) };
  };

  test.each([
    ['three', 3],
    ['two, of which the second is full', 2],
    ['one that is full', 1],
  ])('goes on in a further sheet when one is full, and leaves none empty: %s', async (_what, count) => {
    const rows = Array.from({ length: count * 4 - (count === 3 ? 1 : 0) }, (_, n) => [n]);
    // Pages of three rows; the last one is empty.
    const page = (after: string | null) => {
      const found = rows.slice(Number(after), Number(after) + 3);
      return pageOf(found, found.length > 0 ? String(Number(after) + 3) : null);
    };
    const { state, sheets } = await written({ columns: ['n'], page }, 4);
    expect(state.rows).toBe(rows.length);
    expect(sheets).toEqual(Array.from({ length: count }, (_, n) => [['n'], ...rows.slice(4 * n, 4 * n + 4)]));
  });

  test('has its header alone when there are no rows, and as many columns as it takes', async () => {
    const columns = Array.from({ length: 30 }, (_, n) => `column ${n}`);
    expect((await written({ columns, page: () => pageOf([], null) })).sheets).toEqual([[columns]]);
  });

  test('keeps texts as they are', async () => {
    const texts = ['', ' a & b < c > d ', 'é𝄞\n\t', '=1+1', '-1', '00123', 'TRUE', '2026-01-01', 'a_x0041_b'];
    const { sheets } = await written({
      columns: ['text'],
      page: () =>
        pageOf(
          texts.map((text) => [text]),
          null,
        ),
    });
    const [, ...rows] = sheets[0] ?? [];
    expect(rows.map(([text]) => text ?? '')).toEqual(texts);
  });

  test('whose rows cannot be read, or that cannot be stored, fails', async () => {
    const unreadable = { columns: ['n'], page: () => Promise.reject(new Error('no rows')) };
    await expect(written(unreadable)).rejects.toThrow('no rows');
    // Opens its file only after the rows have failed.
    const slow = {
      write: async (_name: string, content: Readable) => {
        await new Promise((resolve) => content.on('close', resolve));
        throw new Error('nothing to store');
      },
    };
    const unreadableTo = { storage: Object.assign(await openStorage({ dataDir }), slow), folder, claim, context };
    await expect(exportSheet({ source: unreadable, ...unreadableTo })).rejects.toThrow('no rows');
    const many = { columns: ['n'], page: () => pageOf([['x'.repeat(30_000)]], 'more') };
    const full = {
      write: async (_name: string, content: Readable) => {
        for await (const _piece of content) throw new Error('no space');
      },
    };
    const run = { source: many, storage: Object.assign(await openStorage({ dataDir }), full), folder, claim, context };
    await expect(exportSheet(run)).rejects.toThrow('no space');
  });
});

test.each([
  ['=1+1', `'=1+1`],
  ['hi;=HYPERLINK(A1)', `hi;'=HYPERLINK(A1)`],
  ['hi;"=1+1;x', `"hi;""'=1+1;x"`],
  ['one\r\n\r\n@two\t+3\r-4', `"one\r\n\r\n'@two\t'+3\r'-4"`],
  ['\t=1', `\t'=1`],
  ['a=b, -5 - 6 or e@f', '"a=b, -5 - 6 or e@f"'],
])('in a CSV file nothing can begin a formula, whatever the separator: %j', (text, field) => {
  expect(csv.line(['text'], [text])).toBe(`${field}\r\n`);
});
