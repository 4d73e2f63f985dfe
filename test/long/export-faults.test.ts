import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import readXlsxFile from 'read-excel-file/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeId } from '../../src/ids.ts';
import { ask, subscribeWs, type Target } from '../harness/client.ts';
import { useDatabase } from '../harness/database.ts';
import { type Program, usePrograms } from '../harness/process.ts';
import { addManyQuestions } from '../harness/questions.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const ROWS = 100_000;
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
}, 120_000);

interface Job {
  id: string;
  status: string;
  progress: number;
  rows: number;
  url: string | null;
}

async function begin(server: Server, format: string): Promise<string> {
  const { result } = await ask<{ result: { export: Job } }>(
    server,
    `mutation { result: startExport(input: { kind: RECORDS, format: ${format}, filter: { startDate: "2026-01-01", endDate: "2026-12-31" } }) {
      ... on StartExportPayload { export { id } } } }`,
  );
  return result.export.id;
}

const progressOf = (server: Server, id: string) =>
  subscribeWs<{ jobProgress: Job }>(
    server,
    `subscription { jobProgress(id: "${id}") { id status progress ... on Export { rows url } } }`,
  );

async function finished(server: Server, id: string): Promise<{ job: Job | undefined; told: number[] }> {
  let job: Job | undefined;
  const told: number[] = [];
  for await (const { jobProgress } of progressOf(server, id)) {
    job = jobProgress;
    told.push(jobProgress.progress);
  }
  return { job, told };
}

async function read(server: Server, job: Job | undefined): Promise<Buffer> {
  const url = new URL(job?.url ?? '');
  return Buffer.from(await (await fetch(new URL(url.pathname + url.search, server.url))).arrayBuffer());
}

/** The most memory that it has had, in MB. */
function peakOf({ pid }: Program): number {
  const line = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1]) / 1024;
}

const residentOf = ({ pid }: Program): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

const everyNumber = Array.from({ length: ROWS }, (_, n) => n);

test.each(['CSV', 'JSONL', 'XLSX'])(
  'a server that is killed in the middle of an export as %s is replaced by one that completes it',
  { timeout: 300_000 },
  async (format) => {
    const first = await start();
    const id = await begin(first, format);
    for await (const { jobProgress } of progressOf(first, id)) if (jobProgress.progress >= 0.5) break;
    await first.kill('SIGKILL');
    const second = await start();
    const before = residentOf(second);
    const { job, told } = await finished(second, id);
    expect(job).toMatchObject({ status: 'DONE', progress: 1, rows: ROWS });
    expect(told.toSorted((a, b) => a - b)).toEqual(told);
    // Of the peak, some is what loading the library takes.
    console.log(`${format}: ${Math.round(before)} MB before, ${Math.round(peakOf(second))} MB at most`);
    expect(peakOf(second) - before).toBeLessThan(150);
    const body = await read(second, job);
    await second.kill('SIGKILL');
    const texts = await textsOf(format, body);
    expect(texts.map((text) => Number.parseInt(text, 10))).toEqual(everyNumber);
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

/** The answers, in the order of the file, read by other libraries than those that wrote it. */
async function textsOf(format: string, body: Buffer): Promise<string[]> {
  if (format === 'CSV') {
    const rows: Record<string, string>[] = parse(body, { columns: true });
    expect(rows.every(({ question = '' }) => question.startsWith("'="))).toBe(true);
    return rows.map(({ answer = '' }) => answer);
  }
  if (format === 'JSONL') {
    const lines = body.toString().trimEnd().split('\n');
    return lines.map((line): string => {
      const row: unknown = JSON.parse(line);
      return typeof row === 'object' && row !== null && 'answer' in row ? String(row.answer) : '';
    });
  }
  const [sheet] = await readXlsxFile(body);
  return (sheet?.data ?? []).slice(1).map((row) => String(row[3]));
}
