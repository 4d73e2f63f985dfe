// Measures Parley against what the machine could do at best: npm run bench -- [--quick] [ROW...]
import { parseArgs } from 'node:util';
import { Bench, type Result, type Row } from './bench.ts';
import { createDatabase } from './database.ts';
import { created } from './rows/created.ts';
import { delivery } from './rows/delivery.ts';
import { exports } from './rows/exports.ts';
import { hints } from './rows/hints.ts';
import { latency } from './rows/latency.ts';
import { limiter } from './rows/limiter.ts';
import { memory } from './rows/memory.ts';
import { model } from './rows/model.ts';
import { profile } from './rows/profile.ts';
import { requests } from './rows/requests.ts';
import { search } from './rows/search.ts';
import { servers } from './rows/servers.ts';
import { streams } from './rows/streams.ts';
import { sends } from './rows/sends.ts';
import { wal } from './rows/wal.ts';
import { webhooks } from './rows/webhooks.ts';
import { tableOf } from './table.ts';

const rows: readonly Row[] = [
  delivery,
  latency,
  servers,
  hints,
  model,
  streams,
  wal,
  memory,
  sends,
  created,
  requests,
  limiter,
  search,
  webhooks,
  exports,
  profile,
];

const { values, positionals } = parseArgs({
  options: { quick: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !rows.some((row) => row.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `There is no row ${unknown.join(', ')}. There are: ${rows.map(({ name }) => name).join(', ')}.\n`,
  );
  process.exit(1);
}
const chosen = rows.filter(({ name }) => positionals.length === 0 || positionals.includes(name));

const interrupted = new Promise<never>((_resolve, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => reject(new Error(`Ended by ${signal}.`)));
});
interrupted.catch(() => undefined);

const started = performance.now();
const seconds = () => String(Math.round((performance.now() - started) / 1000)).padStart(4);
const say = (line: string) => process.stderr.write(`${seconds()} s  ${line}\n`);
const database = await createDatabase(process.env.DATABASE_URL);
const bench = new Bench({ databaseUrl: database.url, quick: values.quick, say });
const results: Result[] = [];
try {
  for (const row of chosen) {
    results.push(await Promise.race([row.run(bench), interrupted]));
    await bench.stop();
  }
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
} finally {
  await bench.stop();
  await database.drop();
}
process.stdout.write(`\n${tableOf(results)}`);
say('done');
// An interrupted row may still be waiting for something.
process.exit();
