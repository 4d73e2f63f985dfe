import { afterAll, beforeAll, expect, test } from 'vitest';
import { flooded, MB } from '../harness/flooded-model.ts';
import { event, floods, ModelServer, textChunks } from '../harness/model-server.ts';

const model = new ModelServer();
beforeAll(() => model.start());
afterAll(() => model.close());

test('a model that sends 100 MB of text in proper pieces is cut off at its limit', async () => {
  const { error, text, sent } = await flooded(
    model,
    'key',
    floods(100 * MB, { piece: event(textChunks('x'.repeat(50_000))[0]) }),
  );
  expect(error).toMatchObject({ message: 'The model sent more at once than can be taken.' });
  expect(text.length).toBeGreaterThan(60 * MB);
  expect(sent).toBeLessThan(95 * MB);
});
