import { chooseBus } from '../../src/bus/choose.ts';
import { createLogger } from '../../src/logger.ts';
import { tcpProxy } from './tcp-proxy.ts';

// Run as a process of its own: it ends by itself if buses that are closed, in health or while cut, hold nothing open.
const url = process.argv[2] ?? '';
const proxy = await tcpProxy(url);
const logger = createLogger({ level: 'silent' });
const healthy = await chooseBus({ eventsUrl: url, databaseUrl: '', key: 'closing', logger });
const cut = await chooseBus({ eventsUrl: proxy.url, databaseUrl: '', key: 'closing', logger });
await Promise.all([healthy.connect(), cut.connect()]);
proxy.cut();
while (cut.isConnected()) await new Promise(setImmediate);
for (const bus of [healthy, cut]) {
  bus.join('conversation:conv_closing');
  bus.publish({ kind: 'log', conversationId: 'conv_closing', version: 1 });
  await bus.close();
  bus.publish({ kind: 'log', conversationId: 'conv_closed', version: 1 });
}
await proxy.close();
process.stdout.write('closed');
