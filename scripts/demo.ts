// A tour in the terminal, against a server of its own of which nothing is left afterwards: npm run demo
import { Terminal } from './demo/terminal.ts';

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stop.abort(new Error(`The tour was ended by ${signal}.`)));
}
// Whoever read the output is gone.
process.stdout.on('error', () => stop.abort(new Error('The tour was ended: its output cannot be written.')));

const began = performance.now();
try {
  const terminal = new Terminal(process.stdout, process.env);
  terminal.heading('A tour of Parley');
  terminal.say('It starts a server of its own, with a new PostgreSQL database. This takes some seconds.');
  // Only now: they bring the whole server with them, which takes a while to load.
  const { withOwnServer } = await import('./demo/own-server.ts');
  const { tour } = await import('./demo/tour.ts');
  await withOwnServer(terminal, stop.signal, (server) => tour(terminal, server, stop.signal));
  const seconds = Math.round((performance.now() - began) / 1000);
  terminal.say(`That was all, in ${seconds} seconds. To stay longer: npm start`);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
