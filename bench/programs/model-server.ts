// A model behind the streaming protocol of OpenAI, which says nothing but when it says it.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { obey } from '../process.ts';
import { stamp } from '../words.ts';

export type ModelServerCommands = {
  /** The base URL, as `PARLEY_MODEL_URL` has it. */
  address(argument: null): Promise<string>;
};

const TOKENS = 10;
const TOKEN_MS = 10;

/** How long it thinks before the first token, so that the request itself has long been dealt with. */
const thinkingMs = () => 20 + 40 * Math.random();

const server = createServer((request, response) => {
  if (request.url !== '/v1/chat/completions') {
    response.writeHead(404).end();
    return;
  }
  request.resume().once('end', () => void answer(response));
});

const listening = new Promise<string>((resolve) => {
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    resolve(`http://127.0.0.1:${port}/v1`);
  });
});

async function answer(response: ServerResponse): Promise<void> {
  const send = (choices: object[], rest: object = {}) => {
    const chunk = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'bench', choices, ...rest };
    response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  };
  const choice = (delta: object, reason: string | null = null) => ({ index: 0, delta, finish_reason: reason });
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  send([choice({ role: 'assistant', content: '' })]);
  await sleep(thinkingMs());
  for (let token = 0; token < TOKENS; token += 1) {
    send([choice({ content: stamp() })]);
    await sleep(TOKEN_MS);
  }
  send([choice({}, 'stop')]);
  send([], { usage: { prompt_tokens: 10, completion_tokens: TOKENS, total_tokens: 10 + TOKENS } });
  response.end('data: [DONE]\n\n');
}

const commands: ModelServerCommands = { address: () => listening };
obey(commands);
