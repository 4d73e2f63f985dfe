import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelRuntime } from '../src/agents/model/runtime.ts';
import type { Turn, TurnAttachment } from '../src/agents/runtime.ts';
import { createLogger } from '../src/logger.ts';
import { begin, png, uploadFile } from './harness/files.ts';
import { ModelServer, says } from './harness/model-server.ts';
import { schemas } from './harness/schemas.ts';
import { createAgent, ScriptedRuntime } from './harness/scripted-runtime.ts';
import { useServer } from './harness/server.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';
import { replyOf, said, turnOf } from './harness/turn.ts';

const dataDir = createTemporaryFolder();
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));
const scripted = new ScriptedRuntime();
const server = useServer({ runtimes: [scripted], config: { dataDir } });
let model: ModelServer;
beforeAll(async () => {
  model = await new ModelServer().start();
});
afterAll(() => model.close());

function picture(bytes: number, read = () => Promise.resolve(new Uint8Array(bytes))): TurnAttachment {
  return { filename: 'a "b".png', contentType: 'image/png', bytes, read };
}

/** What the model was shown of the conversation, after the system text. */
async function shownOf(history: Turn['history'], parameters: Turn['parameters']): Promise<unknown[]> {
  model.answer(says('Fine.'));
  const runtime = modelRuntime({
    search: async () => ({ passages: [], near: [] }),
    schemas,
    logger: createLogger({ level: 'silent' }),
    allowPrivateAddresses: true,
    settings: { url: `${model.url}/v1`, model: 'fake' },
  });
  expect((await replyOf(runtime, turnOf({ history, parameters }))).text).toBe('Fine.');
  return (model.requests[0]?.body.messages ?? []).slice(1).map(({ content }) => content);
}

describe('a model', () => {
  test('that takes pictures is shown them, and told of all files', async () => {
    const pdf = { filename: 'form.pdf', contentType: 'application/pdf', bytes: 9, read: null };
    const [content] = await shownOf([said('USER', 'Look.', { attachments: [picture(3), pdf] })], { images: true });
    expect(content).toEqual([
      {
        type: 'text',
        text: 'Look.\n[Attached file: "a \\"b\\".png", image/png, 3 bytes]\n[Attached file: "form.pdf", application/pdf, 9 bytes]',
      },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
    ]);
  });

  test('that takes none is told of them alone, and nothing is read', async () => {
    const read = () => Promise.reject(new Error('must not be read'));
    const [content] = await shownOf([said('USER', '', { attachments: [picture(3, read)] })], {});
    expect(content).toBe('[Attached file: "a \\"b\\".png", image/png, 3 bytes]');
  });

  test('is shown no more than it may hold, the last ones first, and none that cannot be read', async () => {
    const asked: string[] = [];
    const large = (name: string) => picture(3_500_000, () => (asked.push(name), Promise.resolve(new Uint8Array(1))));
    const broken = picture(1, () => Promise.reject(new Error('gone')));
    await shownOf(
      [
        said('USER', 'One', { attachments: [large('first')] }),
        said('AGENT', 'Yes?'),
        said('USER', 'Two', { attachments: [large('second'), broken, large('third')] }),
      ],
      { images: true, contextTokens: 100_000 },
    );
    expect(asked).toEqual(['second', 'third']);
  });
});

test('a runtime is given the attachments of the messages, and reads a picture only if it wants to', async () => {
  const agentId = await createAgent(server.services, 'scripted');
  const [photo, text] = [await uploadFile(server, png(2, 2)), await uploadFile(server, Buffer.from('a'), 'a.txt')];
  await begin(server, [{ id: photo }, { id: text }], { agentId, action: 'GENERATE_REPLY' });
  const script = await scripted.replyTo('Look.');
  const { turn } = script;
  const [first, second] = turn.history.at(-1)?.attachments ?? [];
  expect([first, second]).toMatchObject([
    { filename: 'photo.png', contentType: 'image/png' },
    { filename: 'a.txt', contentType: 'text/plain', bytes: 1, read: null },
  ]);
  expect(Buffer.from((await first?.read?.()) ?? []).equals(png(2, 2))).toBe(true);
  await script.begin('Nice.');
  await script.end();
});
