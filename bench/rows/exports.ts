import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { addManyQuestions } from '../../test/harness/questions.ts';
import { type Bench, quantile, type Result, type Row } from '../bench.ts';
import { now } from '../clock.ts';
import type { Program } from '../process.ts';
import type { ParleyCommands } from '../programs/parley.ts';
import type { PlainCopyCommands } from '../programs/plain-copy.ts';

/** How fast records are exported, beside a bare COPY. */
export const exports: Row = {
  name: 'exports',
  async run(bench) {
    const dataDir = mkdtempSync(join(tmpdir(), 'parley-bench-files-'));
    try {
      return await measure(bench, dataDir);
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  },
};

async function measure(bench: Bench, dataDir: string): Promise<Result> {
  const rows = bench.quick ? 20_000 : 200_000;
  const parley = bench.start<ParleyCommands>('parley', { DATA_DIR: dataDir });
  const plain = bench.start<PlainCopyCommands>('plain-copy');
  const target = await parley.call('address', null);
  bench.progress(`exports: adds ${rows} questions with answers`);
  await addRows(bench.databaseUrl, rows);
  const { ours: asCsv, limit } = await bench.alternate(bench.quick ? 1 : 3, {
    ours: () => exportAs(target, 'CSV', rows),
    limit: () => plain.call('copy', { rows }),
  });
  const before = await memoryOf(parley);
  const asSheet = await exportAs(target, 'XLSX', rows);
  const after = await memoryOf(parley);
  const copied = quantile(limit);
  return {
    title: `Exports: ${rows} records`,
    figures: [
      { what: 'rows in a second as CSV (more is better)', unit: '', ours: quantile(asCsv), limit: copied },
      { what: 'rows in a second as XLSX (more is better)', unit: '', ours: asSheet, limit: copied },
      { what: 'memory that is left after one as XLSX', unit: 'MiB', ours: (after - before) / 1024, limit: null },
    ],
    notes: [
      'Ours: from `startExport` to the end of the job, written in parts that survive their server. Limit: COPY of the same rows as CSV.',
    ],
  };
}

async function addRows(databaseUrl: string, count: number): Promise<void> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
  // What other rows have left would be in the COPY alone.
  await pool.query('TRUNCATE conversation CASCADE');
  const { rows } = await pool.query<{ id: string }>('SELECT organization_id AS id FROM agent LIMIT 1');
  await addManyQuestions(pool, rows[0]?.id ?? '', count);
  await pool.query('VACUUM ANALYZE message, fragment');
  await pool.end();
}

const memoryOf = async (parley: Program<ParleyCommands>) => (await parley.call('usage', { collect: true })).rss;

/** Rows a second. */
async function exportAs({ url, key }: { url: string; key: string }, format: string, rows: number): Promise<number> {
  const ask = async (query: string) => {
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
    return (await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) })).text();
  };
  const start = now();
  const asked = await ask(
    `mutation { startExport(input: { kind: RECORDS, format: ${format}, filter: { startDate: "2026-01-01", endDate: "2026-12-31" } }) {
      ... on StartExportPayload { export { id } } } }`,
  );
  const [id] = /export_[0-9a-z]+/.exec(asked) ?? [];
  for (
    let job = '';
    !job.includes('"DONE"');
    job = await ask(`{ node(id: "${id}") { ... on Export { status rows } } }`)
  ) {
    if (id === undefined || job.includes('"FAILED"')) throw new Error(`There is no export: ${asked} ${job}`);
    // Each question takes time of the server that is measured.
    await sleep(100);
  }
  return (rows * 1000) / (now() - start);
}
