// The limit for webhooks: posts bodies that are there already over kept connections, and does nothing else.
import { Agent, request } from 'node:http';
import { now } from '../clock.ts';
import { obey } from '../process.ts';

export type PlainPostsCommands = {
  /** Returns how many a second, and the CPU of each in microseconds. */
  post(argument: { url: string; bodies: string[]; connections: number }): Promise<{ perSecond: number; cpu: number }>;
};

const agent = new Agent({ keepAlive: true });

function postOne(url: string, body: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const commands: PlainPostsCommands = {
  async post({ url, bodies, connections }) {
    const [start, cpu] = [now(), process.cpuUsage()];
    const rest = [...bodies];
    const work = async () => {
      for (let body = rest.pop(); body !== undefined; body = rest.pop()) await postOne(url, body);
    };
    await Promise.all(Array.from({ length: connections }, work));
    const { user, system } = process.cpuUsage(cpu);
    return { perSecond: (bodies.length * 1000) / (now() - start), cpu: (user + system) / bodies.length };
  },
};
obey(commands);
