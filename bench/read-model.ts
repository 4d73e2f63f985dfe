import { Agent, request } from 'node:http';

const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
const messages = [{ role: 'user', content: 'Where does it go on?' }];
const question = JSON.stringify({ model: 'bench', messages, stream: true, stream_options: { include_usage: true } });

interface Chunk {
  choices: { delta: { content?: string } }[];
}

/** Reads the stream of a model as plainly as can be. Resolves at the end of the reply. */
export function readModel(url: string, onToken: (text: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const asked = request(`${url}/chat/completions`, { method: 'POST', agent, headers }, (response) => {
      let rest = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        const events = (rest + chunk).split('\n\n');
        rest = events.pop() ?? '';
        for (const event of events) {
          const data = event.slice('data: '.length);
          if (data === '[DONE]') continue;
          const { choices } = JSON.parse(data) as Chunk;
          const text = choices[0]?.delta.content;
          if (text) onToken(text);
        }
      });
      response.on('error', reject);
      response.on('end', resolve);
    });
    asked.on('error', reject);
    asked.end(question);
  });
}
