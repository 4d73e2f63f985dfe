// A model behind the streaming protocol of OpenAI: it says little, and if need be only when it says it; its replies are short, or go on
// at the pace that it is told to keep.
import { createServer, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Metronome } from '../clock.ts';
import { listen } from '../listen.ts';
import { obey } from '../process.ts';
import { produce, producedCount, type Script, stamp } from '../words.ts';
import type { SourceCommands } from './server.ts';

export type ModelServerCommands = SourceCommands & {
  /** The base URL, as `PARLEY_MODEL_URL` has it. */
  address(argument: null): Promise<string>;
};

const TOKENS = 10;
const TOKEN_MS = 10;

/** How long it thinks before the first token, so that the request itself has long been dealt with. */
const thinkingMs = () => 20 + 40 * Math.random();

/** What it was told to say, and the pace of it. */
let told: { script: Script; metronome: Metronome } | null = null;

const server = createServer((request, response) => {
  if (request.url !== '/v1/chat/completions') {
    response.writeHead(404).end();
    return;
  }
  request.resume().once('end', () => void answer(response));
});

const listening = listen(server).then((url) => `${url}/v1`);

async function answer(response: ServerResponse): Promise<void> {
  const send = (choices: object[], rest: object = {}) => {
    const chunk = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'bench', choices, ...rest };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  const choice = (delta: object, reason: string | null = null) => ({ index: 0, delta, finish_reason: reason });
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  send([choice({ role: 'assistant', content: '' })]);
  let tokens = 0;
  for await (const content of told ? paced(told) : short()) {
    send([choice({ content })]);
    tokens += 1;
  }
  send([choice({}, 'stop')]);
  send([], { usage: { prompt_tokens: 10, completion_tokens: tokens, total_tokens: 10 + tokens } });
  response.end('data: [DONE]\n\n');
}

async function* short(): AsyncGenerator<string, void, undefined> {
  await sleep(thinkingMs());
  for (let token = 0; token < TOKENS; token += 1) {
    yield stamp();
    await sleep(TOKEN_MS);
  }
}

async function* paced({ script, metronome }: NonNullable<typeof told>): AsyncGenerator<string, void, undefined> {
  for await (const index of metronome.beats()) {
    yield produce(index, script);
    if (index + 1 === script.tokens) return;
  }
}

const commands: ModelServerCommands = {
  address: () => listening,
  speak(script) {
    told = { script, metronome: new Metronome(script.perSecond) };
    return Promise.resolve();
  },
  setPace({ perSecond, together }) {
    told?.metronome.setPace(perSecond, together);
    return Promise.resolve();
  },
  finish() {
    told?.metronome.end();
    return Promise.resolve();
  },
  spoken: () => Promise.resolve(producedCount()),
};
obey(commands);
