import { readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { useDatabase } from '../harness/database.ts';
import { ask } from '../harness/client.ts';
import { createAttachment } from '../harness/files.ts';
import { usePrograms } from '../harness/process.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const database = useDatabase();
const programs = usePrograms();
const key = 'key-of-the-tests-of-uploads';
const FILES = 200;
const BYTES = 10_000_000;
const MB = 1_000_000;

/** Resident memory of a process that is its own, in bytes; not what files it has mapped. */
function memoryOf(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

function upload(url: string, chunk: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const req = request(url, { method: 'PUT', agent: false, headers: { 'content-length': BYTES } });
    req.on('response', (res) => resolve(res.resume().statusCode ?? 0)).on('error', reject);
    let left = BYTES;
    const go = () => {
      while (left > 0) {
        const part = chunk.subarray(0, Math.min(left, chunk.length));
        left -= part.length;
        if (!req.write(part)) return void req.once('drain', go);
      }
      req.end();
    };
    go();
  });
}

const p99 = (times: number[]) => times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;

test(`${FILES} files of 10 MB at once cost little memory, and delay nobody else`, async () => {
  const dataDir = createTemporaryFolder();
  onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
  const env = { DATABASE_URL: database.url, DATA_DIR: dataDir, BOOTSTRAP_API_KEY: key, RATE_LIMIT_PER_KEY: '0' };
  const server = Object.assign(await programs.start(env), { key });
  const asks = async (until: () => boolean) => {
    const times: number[] = [];
    while (!until()) {
      const began = performance.now();
      await ask(server, '{ conversations(first: 10) { nodes { id } } }');
      times.push(performance.now() - began);
      await sleep(5);
    }
    return times;
  };
  const during = (milliseconds: number) => {
    const end = performance.now() + milliseconds;
    return () => performance.now() > end;
  };
  // The first ones load code.
  await asks(during(3000));
  const alone = await asks(during(10_000));
  const urls: string[] = [];
  for (let n = 0; n < FILES; n += 1) urls.push((await createAttachment(server, { bytes: BYTES })).uploadUrl);

  const idle = memoryOf(server.pid);
  let most = idle;
  let isDone = false;
  const watching = setInterval(() => (most = Math.max(most, memoryOf(server.pid))), 50);
  const chunk = Buffer.alloc(65_536, 'a');
  const began = performance.now();
  const [statuses, beside] = await Promise.all([
    Promise.all(urls.map((url) => upload(url, chunk))).finally(() => (isDone = true)),
    asks(() => isDone),
  ]);
  clearInterval(watching);
  const seconds = (performance.now() - began) / 1000;
  const [own, others] = [p99(alone), p99(beside)];
  console.log(
    `${FILES} files of 10 MB in ${seconds.toFixed(1)} s; memory ${Math.round(idle / MB)} MB idle, ` +
      `${Math.round((most - idle) / MB)} MB more at most; p99 of other requests ${own.toFixed(1)} ms alone, ` +
      `${others.toFixed(1)} ms beside it (${(others / own).toFixed(2)} times)`,
  );
  expect(statuses.filter((status) => status !== 201)).toEqual([]);
  expect(most - idle).toBeLessThan(200 * MB);
});
