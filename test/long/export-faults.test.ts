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
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeId } from '../../src/ids.ts';
import { ask, subscribeWs, type Target } from '../harness/client.ts';
import { useDatabase } from '../harness/database.ts';
import { type Program, usePrograms } from '../harness/process.ts';
import { addManyQuestions } from '../harness/questions.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

/** How many records are exported: `EXPORT_ROWS=1000000 npm run test:long -- test/long/export-faults.test.ts` for the whole promise. */
const ROWS = Number(process.env.EXPORT_ROWS ?? 100_000);
/** The records of two days, which are a second apart: a sheet of so many can be held in memory by a library that reads it. */
const ROWS_OF_TWO_DAYS = Math.min(ROWS, 2 * 86_400);
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

async function begin(server: Server, format: string, endDate = '2026-12-31'): Promise<string> {
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

interface Followed {
  job: Job | undefined;
  /** How far it was each time that it was told of. */
  told: number[];
  /** The longest time between two of those, in milliseconds, before and after a server had it that was not the one before. */
  longest: { takingOver: number; working: number };
}

/** Follows a job until it has ended. `before` is the claim of a server that has been killed. */
async function finished(server: Server, id: string, before: string | null = null): Promise<Followed> {
  const followed: Followed = { job: undefined, told: [], longest: { takingOver: 0, working: 0 } };
  let phase: keyof Followed['longest'] = 'takingOver';
  let last = performance.now();
  for await (const { jobProgress } of progressOf(server, id)) {
    followed.longest[phase] = Math.max(followed.longest[phase], performance.now() - last);
    last = performance.now();
    followed.job = jobProgress;
    followed.told.push(jobProgress.progress);
    if (phase === 'takingOver' && (await claimOf(id)) !== before) phase = 'working';
  }
  return followed;
}

async function claimOf(id: string): Promise<string | null> {
  const { rows } = await database.pool.query<{ claim: string | null }>('SELECT claim FROM job WHERE id = $1', [
    decodeId('Export', id),
  ]);
  return rows[0]?.claim ?? null;
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

/** The memory of a server that works on nothing, in MB. The first requests load what all others use. */
async function idleOf(server: Server): Promise<number> {
  for (let n = 0; n < 50; n += 1) await ask(server, '{ organization { id } }');
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1]) / 1024;
}

test.each(['CSV', 'JSONL', 'XLSX'])(
  'a server that is killed in the middle of an export as %s is replaced by one that completes it',
  { timeout: 1_800_000 },
  async (format) => {
    const first = await start();
    const idle = await idleOf(first);
    const id = await begin(first, format);
    for await (const { jobProgress } of progressOf(first, id)) if (jobProgress.progress >= 0.5) break;
    const peakOfFirst = peakOf(first);
    await first.kill('SIGKILL');
    const parts = () => readdirSync(join(dataDir, 'files', 'exports', decodeId('Export', id) ?? ''));
    const [left, claim] = [parts(), await claimOf(id)];
    const second = await start();
    const began = performance.now();
    const { job, told, longest } = await finished(second, id, claim);
    const seconds = (performance.now() - began) / 1000;
    expect(job).toMatchObject({ status: 'DONE', progress: 1, rows: ROWS });
    expect(told.toSorted((a, b) => a - b)).toEqual(told);
    const grown = Math.max(peakOfFirst, peakOf(second)) - idle;
    console.log(
      `${format}: ${ROWS} rows, the second server took ${seconds.toFixed(1)} s, had at most ${grown.toFixed(0)} MB more than the ` +
        `${idle.toFixed(0)} MB of an idle one, and told of it ${told.length} times: ${longest.takingOver.toFixed(0)} ms apart until it had taken over, then at most ` +
        `${longest.working.toFixed(0)} ms`,
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
    expect(n).toBe(ROWS);
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
    const { job } = await finished(server, await begin(server, 'XLSX', '2026-01-02'));
    const file = await download(server, job);
    let n = 0;
    for await (const row of readByLibreOffice(file)) {
      const at = new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString().slice(0, 19).replace('T', ' ');
      const isRight = row.askedAt === at && isRow(n, 'XLSX', row.question, row.answer);
      if (!isRight) expect({ n, row }).toBe('the row of this number');
      n += 1;
    }
    expect(n).toBe(ROWS_OF_TWO_DAYS);
    await server.kill('SIGKILL');
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
  } else if (ROWS > ROWS_OF_TWO_DAYS) {
    for await (const { question, answer } of readByLibreOffice(file)) yield [question, answer];
  } else {
    const [sheet] = await readXlsxFile(await buffer(file));
    for (const row of (sheet?.data ?? []).slice(1)) yield [String(row[1]), String(row[3])];
  }
}

/** The rows of a sheet that LibreOffice has opened. */
async function* readByLibreOffice(file: Readable): AsyncGenerator<Row, void, undefined> {
  const folder = createTemporaryFolder();
  try {
    const sheet = join(folder, 'records.xlsx');
    await pipeline(file, createWriteStream(sheet));
    const profile = `-env:UserInstallation=${pathToFileURL(join(folder, 'profile')).href}`;
    const filter = 'csv:Text - txt - csv (StarCalc):44,34,76';
    const args = [profile, '--headless', '--convert-to', filter, '--outdir', folder, sheet];
    await promisify(execFile)(soffice ?? '', args);
    yield* createReadStream(join(folder, 'records.csv')).pipe(parse({ columns: true })) as AsyncIterable<Row>;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Where a program is. Null if it is not installed. */
function findProgram(name: string): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path)) ?? null;
}
