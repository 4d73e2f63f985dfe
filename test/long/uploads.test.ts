import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { useDatabase } from '../harness/database.ts';
import { createAttachment } from '../harness/files.ts';
import { usePrograms } from '../harness/process.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const database = useDatabase();
const programs = usePrograms();
const key = 'key-of-the-tests-of-uploads';
const FILES = 200;
const BYTES = 10_000_000;
const MB = 1_000_000;
const ROUNDS = 3;
/** How long others ask before each round, in milliseconds. */
const ALONE_MS = 8_000;

/** Resident memory of a process that is its own, in bytes; not what files it has mapped. */
function memoryOf(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** Starts a program of the harness as a process with messages; it ends with the test. */
function start(name: string, args: string[]): ChildProcess {
  const child = fork(join(import.meta.dirname, '..', 'harness', `${name}.ts`), args, { execArgv: ['--import', 'tsx'] });
  onTestFinished(() => void child.kill());
  return child;
}

/** The next message of a process, which is a list of numbers. */
async function numbersFrom(child: ChildProcess): Promise<number[]> {
  const [numbers]: unknown[] = await once(child, 'message');
  if (!Array.isArray(numbers)) throw new Error('The program has sent no numbers.');
  return numbers.map(Number);
}

const quantile = (numbers: readonly number[], part: number) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length * part)] ?? NaN;
const p99 = (times: readonly number[]) => quantile(times, 0.99);

test(`${FILES} files of 10 MB at once cost little memory, and delay nobody else`, { timeout: 1_200_000 }, async () => {
  const dataDir = createTemporaryFolder();
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const env = { DATABASE_URL: database.url, DATA_DIR: dataDir, BOOTSTRAP_API_KEY: key, RATE_LIMIT_PER_KEY: '0' };
  const server = Object.assign(await programs.start(env), { key });
  const asker = start('asker', [server.url, key]);
  const uploader = start('uploader', [String(BYTES)]);
  /** How long what others asked took while the work was done. */
  const during = async (work: () => Promise<unknown>): Promise<number[]> => {
    asker.send('start');
    await work();
    asker.send('stop');
    return numbersFrom(asker);
  };
  // The first ones load code.
  await during(() => sleep(ALONE_MS));
  const ratios: number[] = [];
  for (let round = 1; round <= ROUNDS; round += 1) {
    const alone = p99(await during(() => sleep(ALONE_MS)));
    const urls: string[] = [];
    for (let n = 0; n < FILES; n += 1) urls.push((await createAttachment(server, { bytes: BYTES })).uploadUrl);
    const idle = memoryOf(server.pid);
    let most = idle;
    const watching = setInterval(() => (most = Math.max(most, memoryOf(server.pid))), 50);
    const began = performance.now();
    const beside = p99(
      await during(async () => {
        uploader.send(urls);
        const statuses = await numbersFrom(uploader);
        expect(statuses.filter((status) => status !== 201)).toEqual([]);
      }),
    );
    clearInterval(watching);
    ratios.push(beside / alone);
    console.log(
      `${FILES} files of 10 MB in ${((performance.now() - began) / 1000).toFixed(1)} s; memory ${Math.round(idle / MB)} MB idle, ` +
        `${Math.round((most - idle) / MB)} MB more at most; p99 of other requests ${alone.toFixed(1)} ms alone, ` +
        `${beside.toFixed(1)} ms beside it (${(beside / alone).toFixed(2)} times)`,
    );
    expect(most - idle).toBeLessThan(200 * MB);
  }
  console.log(
    `p99 of other requests beside uploads: ${quantile(ratios, 0.5).toFixed(2)} times their own, the median of ${ROUNDS}`,
  );
});
