import { rmSync } from 'node:fs';
import readXlsxFile from 'read-excel-file/node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeId } from '../src/ids.ts';
import { firstOrganization } from './harness/access.ts';
import { ask, subscribeWs } from './harness/client.ts';
import { addQuestions } from './harness/questions.ts';
import { useServer } from './harness/server.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

/*
 * What users of MaiAgent and Ada rely on about what was said, as a whole, and what it is in Parley:
 *
 * MaiAgent: records by startDate, endDate,   records(filter), with userMessage, botMessage
 *   userMessage, botMessage, pageSize          first, after
 * MaiAgent: export of those to Excel         startExport(kind: RECORDS, format: XLSX) with the same filter
 * Ada: data export of conversations and      startExport(kind: CONVERSATIONS or MESSAGES, format: JSONL) with days,
 *   of messages, created since, until          and kind: EVENTS with `since` for what comes later
 */

const dataDir = createTemporaryFolder();
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));
const server = useServer({ config: { dataDir } });
let conversationId: string;

beforeAll(async () => {
  const { pool } = server.services;
  conversationId = encodeId(
    'Conversation',
    await addQuestions(pool, await firstOrganization(server.services), [
      { question: 'Where is my parcel?', answer: 'On its way.', at: new Date('2026-03-01T10:00:00Z') },
      { question: 'And now?', answer: 'At your door.', at: new Date('2026-03-02T10:00:00Z') },
      { question: 'Thanks', at: new Date('2026-03-05T10:00:00Z') },
    ]),
  );
});

async function exported(input: string): Promise<Response> {
  const { result } = await ask<{ result: { export: { id: string } } }>(
    server,
    `mutation { result: startExport(input: { ${input} }) { ... on StartExportPayload { export { id } } } }`,
  );
  let url = '';
  const progress = `subscription { jobProgress(id: "${result.export.id}") { ... on Export { status url } } }`;
  for await (const { jobProgress } of subscribeWs<{ jobProgress: { url: string | null } }>(server, progress)) {
    url = jobProgress.url ?? '';
  }
  return fetch(url);
}

const linesOf = async (response: Response): Promise<unknown[]> =>
  (await response.text())
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

test('MaiAgent: records are read page by page, by dates and both texts, and the same are an Excel file', async () => {
  const filter = '{ startDate: "2026-03-01", endDate: "2026-03-04" }';
  const read = async (filtered: string, after: string | null) => {
    const { records } = await ask<{
      records: { nodes: { question: { text: string }; answer: { text: string } }[]; pageInfo: { endCursor: string } };
    }>(
      server,
      `query ($after: String) { records(filter: ${filtered}, first: 1, after: $after) {
        nodes { question { text } answer { text } } pageInfo { endCursor } } }`,
      { after },
    );
    return records;
  };
  const first = await read(filter, null);
  const second = await read(filter, first.pageInfo.endCursor);
  expect([...first.nodes, ...second.nodes].map(({ question, answer }) => [question.text, answer.text])).toEqual([
    ['Where is my parcel?', 'On its way.'],
    ['And now?', 'At your door.'],
  ]);
  const found = filter.replace(' }', ', userMessage: "now", botMessage: "door" }');
  expect((await read(found, null)).nodes).toHaveLength(1);
  const book = Buffer.from(await (await exported(`kind: RECORDS, format: XLSX, filter: ${found}`)).arrayBuffer());
  const [sheet] = await readXlsxFile(book);
  expect(sheet?.data.map((row) => row.slice(0, 4))).toEqual([
    ['askedAt', 'question', 'answeredAt', 'answer'],
    [new Date('2026-03-02T10:00:00Z'), 'And now?', new Date('2026-03-02T10:00:00Z'), 'At your door.'],
  ]);
});

test('Ada: all conversations and messages of some days are exported, and later the events since a place', async () => {
  const today = new Date().toISOString().slice(0, 10);
  const conversations = await linesOf(
    await exported(`kind: CONVERSATIONS, format: JSONL, filter: { startDate: "${today}", endDate: "${today}" }`),
  );
  expect(conversations).toContainEqual(expect.objectContaining({ conversationId, status: 'ACTIVE' }));
  const messages = await linesOf(
    await exported('kind: MESSAGES, format: JSONL, filter: { startDate: "2026-03-02", endDate: "2026-03-05" }'),
  );
  expect(messages).toMatchObject([
    { conversationId, role: 'USER', text: 'And now?' },
    { conversationId, role: 'AGENT', text: 'At your door.' },
    { conversationId, role: 'USER', text: 'Thanks' },
  ]);
  await ask(server, 'mutation { createConversation(input: { action: NONE }) { __typename } }');
  const events = await linesOf(await exported('kind: EVENTS, format: JSONL'));
  const place = String(Reflect.get(Object(events.at(-1)), 'position'));
  await ask(server, 'mutation { createConversation(input: { action: NONE }) { __typename } }');
  const later = await linesOf(await exported(`kind: EVENTS, format: JSONL, since: "${place}"`));
  expect(later).toMatchObject([{ type: 'ConversationCreated', version: 1 }]);
});
