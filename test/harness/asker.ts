// A process of its own, started by `fork`: asks a server one thing after the other from `start` to `stop`, and sends how long each took.
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from './client.ts';

const [, , url = '', key = ''] = process.argv;

let isAsking = false;

async function measure(): Promise<number[]> {
  const times: number[] = [];
  for (isAsking = true; isAsking; await sleep(5)) {
    const began = performance.now();
    await ask({ url, key }, '{ conversations(first: 10) { nodes { id } } }');
    times.push(performance.now() - began);
  }
  return times;
}

process.on('message', (command) => {
  if (command === 'stop') isAsking = false;
  else void measure().then((times) => process.send?.(times));
});
