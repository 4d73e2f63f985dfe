// The server as a process of its own, with the storyteller among its runtimes. It says where it listens on a line.
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLogger } from '../../src/logger.ts';
import { storyteller } from './storyteller.ts';

const config = readConfig();
const app = await startApp(config, createLogger({ level: config.logLevel }), [storyteller]);
process.stdout.write(`${app.url}\n`);
