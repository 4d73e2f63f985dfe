// Logs more than a pipe holds, says on stdout that it went on, and ends in order once its standard input does.
import { once } from 'node:events';
import { createLogger, flushLogs } from '../../src/logger.ts';

const logger = createLogger({ plain: false });
const line = 'x'.repeat(1000);
for (let i = 0; i < 5000; i += 1) logger.info(line);
process.stdout.write('went on\n');
process.stdin.resume();
await once(process.stdin, 'end');
logger.info('the last line');
await flushLogs(5000);
process.exit(0);
