// The limit for the model runtime: reads the stream of the model itself, and does nothing with it.
import { Agent, request } from 'node:http';
import { now } from '../clock.ts';
import { obey } from '../process.ts';
import { stampsIn } from '../words.ts';

export type ModelClientCommands = {
  /** Has so many replies spoken at once; returns how long the first token of each took, in milliseconds. */
  ask(argument: { url: string; replies: number }): Promise<number[]>;
};

const agent = new Agent({ keepAlive: true });
const messages = [{ role: 'user', content: 'Where does it go on?' }];
const question = JSON.stringify({ model: 'bench', messages, stream: true, stream_options: { include_usage: true } });

const commands: ModelClientCommands = {
  ask: ({ url, replies }) => Promise.all(Array.from({ length: replies }, () => ask(url))),
};

/** Resolves at the end of the reply. */
function ask(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const asked = request(`${url}/chat/completions`, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      let delay: number | undefined;
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        const arrived = now();
        text += chunk;
        const [, token] = /"content":"([^"]+)"/.exec(text) ?? [];
        if (token !== undefined) delay ??= arrived - (stampsIn(token)[0] ?? NaN);
      });
      response.on('error', reject);
      response.on('end', () => {
        if (delay !== undefined && text.includes('[DONE]')) resolve(delay);
        else reject(new Error(`The model answered with ${response.statusCode}: ${text}`));
      });
    });
    asked.on('error', reject);
    asked.end(question);
  });
}

obey(commands);
