// The server as a process of its own, with the tasks of the tests among its own. SIGTERM ends it in order.
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { createLogger } from '../../src/logger.ts';
import { testHandlers } from './job-tasks.ts';

const config = readConfig();
const tasks = testHandlers(config.databaseUrl ?? '');
const logger = createLogger({ level: config.logLevel });
const app = await startApp(config, logger, [], undefined, tasks.handlers);
process.once('SIGTERM', () => {
  void app
    .close()
    .then(() => tasks.end())
    .then(() => process.exit(0));
});
process.stdout.write(`${app.url}\n`);
