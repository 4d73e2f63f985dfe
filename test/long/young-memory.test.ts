import { expect, inject, test } from 'vitest';
import { ask, type Target } from '../harness/client.ts';
import { createConversation, send } from '../harness/commands.ts';
import { useDatabase } from '../harness/database.ts';
import { usePrograms } from '../harness/process.ts';

const [KEY, CLIENTS, PAGES, OTHERS] = ['key-of-young-memory', 10, 1500, 15_000];
const database = useDatabase();
// V8 tells of each collection, of young memory alone (`Scavenge`) and of all.
const programs = usePrograms({ args: () => ['--trace-gc', inject('program')] });

/** What share of the memory that the main thread took was not freed by collections of young memory alone. */
function keptShare(trace: string, thread: string): number {
  let [taken, kept, last] = [0, 0, NaN];
  for (const [, of, kind, before, after] of trace.matchAll(
    /^\[\d+:(0x[\da-f]+)\].*?: (Scavenge|Mark-Compact).*? ([\d.]+) \([\d.]+\) -> ([\d.]+) /gm,
  )) {
    if (of !== thread) continue;
    if (kind === 'Scavenge' && Number(before) >= last) {
      taken += Number(before) - last;
      kept += Number(after) - last;
    }
    last = Number(after);
  }
  expect(taken, 'in MB').toBeGreaterThan(50);
  return kept / taken;
}

test('what requests were answered with is freed with young memory', async () => {
  const program = await programs.start({
    DATABASE_URL: database.url,
    BOOTSTRAP_API_KEY: KEY,
    LOG_LEVEL: 'error',
    RATE_LIMIT_PER_KEY: '1000000',
  });
  const server: Target = { url: program.url, key: KEY };
  const { conversation } = await createConversation(server, { action: 'NONE' });
  for (let n = 0; n < 20; n += 1) {
    await send(server, { conversationId: conversation.id, content: { text: 'Where? '.repeat(200) }, action: 'NONE' });
  }
  const page = `query Page($id: ID!) { conversation(id: $id) { messages(last: 50) {
    nodes { id role createdAt author { displayName } fragments { index status ... on TextFragment { text } } }
  } } }`;
  /** What is traced while so many are answered. */
  const traceOf = async (count: number, query: string): Promise<string> => {
    const before = program.stdout.length;
    const client = async () => {
      for (let n = 0; n < count / CLIENTS; n += 1) await ask(server, query, { id: conversation.id });
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    return program.stdout.slice(before);
  };
  await traceOf(PAGES, page);
  await traceOf(OTHERS, '{ __typename }');
  // It is the first to collect.
  const [, mainThread = ''] = /^\[\d+:(0x[\da-f]+)\]/m.exec(program.stdout) ?? [];
  expect(keptShare(await traceOf(OTHERS, '{ __typename }'), mainThread)).toBeLessThan(0.07);
  expect(keptShare(await traceOf(PAGES, page), mainThread)).toBeLessThan(0.07);
});
