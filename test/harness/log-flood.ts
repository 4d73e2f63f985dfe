// Logs more than a pipe holds, says on stdout that it went on, and ends in order once its standard input does.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createLogger, flushLogs } from '../../src/logger.ts';

const logger = createLogger({ plain: false });
logger.info('the first line');
// A child that shares stderr, which makes it blocking for all who share it.
await once(spawn(process.execPath, ['--version'], { stdio: ['ignore', 'ignore', 'inherit'] }), 'close');
const line = 'x'.repeat(1000);
for (let i = 0; i < 5000; i += 1) logger.info(line);
process.stdout.write('went on\n');
process.stdin.resume();
await once(process.stdin, 'end');
logger.info('the last line');
await flushLogs(5000);
process.exit(0);
