import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { LanguageModelV3Prompt, LanguageModelV3StreamPart } from '@ai-sdk/provider';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { modelFailure } from '../src/agents/model/failure.ts';
import { limitedFetch } from '../src/agents/model/limited-fetch.ts';
import { type AskModel, readByClient } from '../src/agents/model/part-source.ts';
import { Models } from '../src/agents/model/providers.ts';
import { cutAnywhere, randomChatStream } from './harness/chat-streams.ts';
import { ModelServer, type Script } from './harness/model-server.ts';
import { Random } from './harness/random.ts';

const server = new ModelServer();
beforeAll(() => server.start());
afterAll(() => server.close());

const settings = () => ({ url: `${server.url}/v1`, apiKey: 'key', model: 'fake' });

/** The provider's client alone, which reads the answer itself. */
function byClient(): AskModel {
  const { url, apiKey, model } = settings();
  const create = createOpenAICompatible({
    name: 'openai-compatible',
    baseURL: url,
    apiKey,
    includeUsage: true,
    fetch: limitedFetch,
  });
  return readByClient(create.languageModel(model));
}

const prompt: LanguageModelV3Prompt = [
  { role: 'system', content: 'You sell hats.' },
  { role: 'user', content: [{ type: 'text', text: 'Größer?' }] },
];

/** What is made of the answer, up to its first fault. */
async function partsBy(ask: AskModel) {
  const parts: LanguageModelV3StreamPart[] = [];
  const source = await ask({ prompt, abortSignal: new AbortController().signal });
  try {
    for (let some = await source.next(); some; some = await source.next()) parts.push(...some);
  } catch (error) {
    parts.push({ type: 'error', error });
  } finally {
    source.leave();
  }
  const end = parts.findIndex(({ type }) => type === 'error') + 1;
  return plain(end > 0 ? parts.slice(0, end) : parts);
}

/** Without what nobody uses, and however what belongs together was cut; ids that were made up are told apart by their order. */
function plain(parts: readonly LanguageModelV3StreamPart[]): Record<string, unknown>[] {
  const ids = new Map<string, string>();
  const named = (id: string) => {
    if (/^(call-\d|txt-0|reasoning-0)$/.test(id)) return id;
    const known = ids.get(id) ?? `made up ${ids.size}`;
    ids.set(id, known);
    return known;
  };
  const plainly: Record<string, unknown>[] = [];
  for (const part of parts) {
    const last = plainly.at(-1);
    if (['stream-start', 'response-metadata', 'raw'].includes(part.type)) continue;
    if (part.type === 'error') plainly.push({ failure: modelFailure(part.error, 'answering', []).message });
    else if (part.type === 'finish') plainly.push({ ...part, providerMetadata: null });
    else if (part.type === 'tool-call') plainly.push({ ...part, toolCallId: named(part.toolCallId) });
    else if (!('id' in part) || part.id === undefined) plainly.push({ ...part });
    else if ('delta' in part && last?.type === part.type && last.id === named(part.id))
      last.delta = `${String(last.delta)}${part.delta}`;
    else plainly.push({ ...part, id: named(part.id) });
  }
  return plainly;
}

function sends(pieces: readonly Buffer[]): Script {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const piece of pieces) if (piece.length > 0) response.write(piece);
    response.end();
  };
}

test('a stream is read from the socket as the client of the provider reads it, however it was cut', async () => {
  const random = new Random(20261130);
  const { ask } = await new Models(settings()).open({});
  const client = byClient();
  for (let run = 0; run < 150; run += 1) {
    const bytes = randomChatStream(random);
    server.answer(sends([bytes]), sends(cutAnywhere(random, bytes)));
    const theirs = await partsBy(client);
    const ours = await partsBy(ask);
    const about = `run ${run}: ${bytes.toString()}`;
    const failure = theirs.at(-1);
    // What it throws, it may throw before others have read what came before.
    if (isBreak(failure)) expect(ours.at(-1), about).toEqual(failure);
    else expect(ours, about).toEqual(theirs);
    const [asked, askedAgain] = server.requests;
    expect(asked?.body).toEqual(askedAgain?.body);
  }
});

function isBreak(last: Record<string, unknown> | undefined): boolean {
  return String(last?.failure).includes('broke off');
}
