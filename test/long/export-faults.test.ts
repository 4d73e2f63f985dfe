import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'csv-parse';
import readXlsxFile from 'read-excel-file/node';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { decodeId } from '../../src/ids.ts';
import { ask, subscribeWs, type Target } from '../harness/client.ts';
import { useDatabase } from '../harness/database.ts';
import { type Program, usePrograms } from '../harness/process.ts';
import { addManyQuestions } from '../harness/questions.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

/** How many records are exported: `EXPORT_ROWS=1000000 npm run test:long -- test/long/export-faults.test.ts` for the whole promise. */
const ROWS = Number(process.env.EXPORT_ROWS ?? 100_000);
/** How many are exported as a sheet, which the library that reads it back holds in memory: at most two days, a second for each. */
const SHEET_ROWS = Math.min(ROWS, 2 * 86_400);
const database = useDatabase();
const programs = usePrograms();
const key = 'key-of-the-export-tests';
const dataDir = createTemporaryFolder();
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

type Server = Program & Target;
async function start(): Promise<Server> {
  const program = await programs.start({
    DATABASE_URL: database.url,
    EVENTS_URL: 'memory:',
    BOOTSTRAP_API_KEY: key,
    DATA_DIR: dataDir,
    LEASE_SECONDS: '2',
    LOG_LEVEL: 'warn',
  });
  return Object.assign(program, { key });
}

beforeAll(async () => {
  const server = await start();
  const { rows } = await database.pool.query<{ id: string }>('SELECT id FROM organization');
  await addManyQuestions(database.pool, rows[0]?.id ?? '', ROWS);
  await database.pool.query('ANALYZE');
  await server.kill('SIGKILL');
}, 600_000);

interface Job {
  id: string;
  status: string;
  progress: number;
  rows: number;
  url: string | null;
}

async function begin(server: Server, format: string): Promise<string> {
  const endDate = format === 'XLSX' ? '2026-01-02' : '2026-12-31';
  const { result } = await ask<{ result: { export: Job } }>(
    server,
    `mutation { result: startExport(input: { kind: RECORDS, format: ${format}, filter: { startDate: "2026-01-01", endDate: "${endDate}" } }) {
      ... on StartExportPayload { export { id } } } }`,
  );
  return result.export.id;
}

const progressOf = (server: Server, id: string) =>
  subscribeWs<{ jobProgress: Job }>(
    server,
    `subscription { jobProgress(id: "${id}") { id status progress ... on Export { rows url } } }`,
  );

/** The job when it has ended, how far it was each time that it was told of, and the milliseconds between those. */
async function finished(server: Server, id: string): Promise<{ job: Job | undefined; told: number[]; gaps: number[] }> {
  let job: Job | undefined;
  const told: number[] = [];
  const gaps: number[] = [];
  let before = NaN;
  for await (const { jobProgress } of progressOf(server, id)) {
    // From when it has begun to move.
    if (told.some((part) => part < jobProgress.progress)) gaps.push(performance.now() - before);
    job = jobProgress;
    told.push(jobProgress.progress);
    before = performance.now();
  }
  return { job, told, gaps };
}

async function download(server: Server, job: Job | undefined): Promise<Readable> {
  const url = new URL(job?.url ?? '');
  const { body } = await fetch(new URL(url.pathname + url.search, server.url));
  if (!body) throw new Error('The file is empty.');
  return Readable.from(body as AsyncIterable<Uint8Array>, { objectMode: false });
}

/** The most memory that it has had, in MB. */
function peakOf({ pid }: Program): number {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1]) / 1024;
}

const residentOf = ({ pid }: Program): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

test.each(['CSV', 'JSONL', 'XLSX'])(
  'a server that is killed in the middle of an export as %s is replaced by one that completes it',
  { timeout: 1_800_000 },
  async (format) => {
    const rows = format === 'XLSX' ? SHEET_ROWS : ROWS;
    const first = await start();
    const id = await begin(first, format);
    for await (const { jobProgress } of progressOf(first, id)) if (jobProgress.progress >= 0.5) break;
    await first.kill('SIGKILL');
    const parts = () => readdirSync(join(dataDir, 'files', 'exports', decodeId('Export', id) ?? ''));
    const left = parts();
    const second = await start();
    const [before, began] = [residentOf(second), performance.now()];
    const { job, told, gaps } = await finished(second, id);
    const seconds = (performance.now() - began) / 1000;
    expect(job).toMatchObject({ status: 'DONE', progress: 1, rows });
    expect(told.toSorted((a, b) => a - b)).toEqual(told);
    const longest = Math.max(...gaps);
    const grown = peakOf(second) - before;
    console.log(
      `${format}: ${rows} rows, the second server took ${seconds.toFixed(1)} s, grew from ${before.toFixed(0)} by ${grown.toFixed(0)} MB, ` +
        `and told of it ${told.length} times, at most ${longest.toFixed(0)} ms apart`,
    );
    expect(told.filter((part) => part > 0 && part < 1).length).toBeGreaterThan(0);
    expect(grown).toBeLessThan(100);
    // What the first has finished is kept, unless the format begins again.
    if (format !== 'XLSX') expect(parts()).toEqual(expect.arrayContaining(left.slice(0, -1)));
    let n = 0;
    for await (const [question, answer] of readBack(format, await download(second, job))) {
      // With comparisons of its own, since each `expect` would take longer than the row.
      if (!isRow(n, format, question, answer)) expect({ n, question, answer }).toBe('the row of this number');
      n += 1;
    }
    expect(n).toBe(rows);
    await second.kill('SIGKILL');
  },
);

const soffice = findProgram('soffice');
if (!soffice) console.warn('LibreOffice is not installed: skipping that it opens a sheet.');

test.skipIf(!soffice)(
  'LibreOffice opens a sheet and finds every row, with times, and no formula',
  { timeout: 600_000 },
  async () => {
    const server = await start();
    const { job } = await finished(server, await begin(server, 'XLSX'));
    const folder = createTemporaryFolder();
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    await pipeline(await download(server, job), createWriteStream(join(folder, 'records.xlsx')));
    await server.kill('SIGKILL');
    const profile = `-env:UserInstallation=${pathToFileURL(join(folder, 'profile')).href}`;
    const filter = 'csv:Text - txt - csv (StarCalc):44,34,76';
    await promisify(execFile)(soffice ?? '', [
      profile,
      '--headless',
      '--convert-to',
      filter,
      '--outdir',
      folder,
      join(folder, 'records.xlsx'),
    ]);
    let n = 0;
    for await (const row of createReadStream(join(folder, 'records.csv')).pipe(
      parse({ columns: true }),
    ) as AsyncIterable<Row>) {
      const at = new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString().slice(0, 19).replace('T', ' ');
      const isRight = row.askedAt === at && isRow(n, 'XLSX', row.question, row.answer);
      if (!isRight) expect({ n, row }).toBe('the row of this number');
      n += 1;
    }
    expect(n).toBe(SHEET_ROWS);
  },
);

test('an export that is cancelled in the middle ends, and leaves no file', { timeout: 120_000 }, async () => {
  const server = await start();
  const id = await begin(server, 'CSV');
  const told: string[] = [];
  for await (const { jobProgress } of progressOf(server, id)) {
    told.push(jobProgress.status);
    if (jobProgress.progress < 0.3 || told.includes('CANCELLED')) continue;
    await ask(server, `mutation { cancelJob(input: { jobId: "${id}" }) { __typename } }`);
  }
  expect(told.at(-1)).toBe('CANCELLED');
  const folder = join(dataDir, 'files', 'exports', decodeId('Export', id) ?? '');
  await expect.poll(() => existsSync(folder), { timeout: 20_000 }).toBe(false);
  await server.kill('SIGKILL');
});

type Row = Record<string, string>;

/** Whether a question and its answer are those of a number. In a CSV file what could be a formula is made inert. */
function isRow(n: number, format: string, question: string | undefined, answer: string | undefined): boolean {
  const asked = `=${n} plus what, "exactly"?`;
  return question === (format === 'CSV' ? `'${asked}` : asked) && answer === `${n} plus nothing,\n and so on`;
}

/** Questions with answers, in the order of the file, read by other libraries than those that wrote it. */
async function* readBack(format: string, file: Readable): AsyncGenerator<(string | undefined)[], void, undefined> {
  if (format === 'CSV') {
    for await (const { question, answer } of file.pipe(parse({ columns: true })) as AsyncIterable<Row>)
      yield [question, answer];
  } else if (format === 'JSONL') {
    for await (const line of createInterface({ input: file })) {
      const { question, answer } = JSON.parse(line) as Row;
      yield [question, answer];
    }
  } else {
    const [sheet] = await readXlsxFile(await buffer(file));
    for (const row of (sheet?.data ?? []).slice(1)) yield [String(row[1]), String(row[3])];
  }
}

/** Where a program is. Null if it is not installed. */
function findProgram(name: string): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}
