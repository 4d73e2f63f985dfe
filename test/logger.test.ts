import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { createLogger, type LoggerOptions } from '../src/logger.ts';

function logged(options: LoggerOptions) {
  const lines: string[] = [];
  return { lines, logger: createLogger({ ...options, destination: { write: (line) => lines.push(line) } }) };
}

it('writes a JSON object per line, marks what belongs to a request, and hides keys and tokens', () => {
  const { lines, logger } = logged({ plain: false });
  const request = { headers: { authorization: 'Bearer hunter2', cookie: 'hunter2', host: 'here' } };
  logger.child({ requestId: 'req_1' }).warn({ apiKey: 'hunter2', client: { token: 'hunter2' }, request }, 'refused');
  logger.debug('not at this level');
  expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
    {
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-.*Z$/),
      requestId: 'req_1',
      apiKey: '[hidden]',
      client: { token: '[hidden]' },
      request: { headers: { authorization: '[hidden]', cookie: '[hidden]', host: 'here' } },
      msg: 'refused',
    },
  ]);
});

it('writes plain lines for people', () => {
  const { lines, logger } = logged({ plain: true, level: 'debug' });
  logger.child({ requestId: 'req_1' }).info({ attempt: 3 }, 'the event bus is back');
  logger.error({ err: new Error('broken', { cause: new Error('deep') }) }, 'failed');
  logger.error({ err: 'no error' }, 'odd');
  expect(lines).toEqual([
    expect.stringMatching(/^\d\d:\d\d:\d\d\.\d{3} INFO {2}the event bus is back requestId="req_1" attempt=3\n$/),
    expect.stringMatching(/^\d\d:\d\d:\d\d\.\d{3} ERROR failed\n {2}Error: broken\n {6}at .*[^]*deep[^]*\n$/),
    expect.stringContaining('odd'),
  ]);
});

it('can be silent', () => {
  const { lines, logger } = logged({ level: 'silent' });
  logger.fatal('unheard');
  expect(lines).toEqual([]);
});

const flood = ['--import', 'tsx', join(import.meta.dirname, 'harness', 'log-flood.ts')];
const inTerminal = `exec '${process.execPath}' ${flood.map((word) => `'${word}'`).join(' ')} <&3 >&4`;
// The script of util-linux runs a command in a terminal of its own.
const hasTerminals = spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux');
if (!hasTerminals)
  console.warn('A terminal that was stopped: skipped, since there is no program "script" of util-linux.');

/** The program that floods its log: what tells that it went on, what ends it, and what comes out of its stderr. */
function startFlood(stderr: 'a pipe' | 'a terminal') {
  if (stderr === 'a pipe') {
    const program = spawn(process.execPath, flood);
    return { program, said: program.stdout, end: program.stdin, log: program.stderr };
  }
  const program = spawn('script', ['--quiet', '--flush', '--command', inTerminal, '/dev/null'], {
    stdio: ['ignore', 'pipe', 'inherit', 'pipe', 'pipe'],
  });
  const [, log, , end, said] = program.stdio;
  if (!(log && end instanceof Socket && said instanceof Socket)) throw new Error('It was started without pipes.');
  return { program, said, end, log };
}

it.for(['a pipe', ...(hasTerminals ? (['a terminal'] as const) : [])] as const)(
  'holds nothing up when nobody reads %s: it drops lines, says how many, and loses nothing at the end',
  async (stderr) => {
    const { program, said, end, log } = startFlood(stderr);
    await once(said, 'data');
    let text = '';
    log.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    end.end();
    await once(program, 'close');
    const line = z.object({ msg: z.string(), dropped: z.number().default(0) });
    const lines = text
      .trimEnd()
      .split(/\r?\n/)
      .map((json) => line.parse(JSON.parse(json)));
    const dropped = lines.reduce((sum, each) => sum + each.dropped, 0);
    expect(dropped).toBeGreaterThan(0);
    expect(lines.filter(({ msg }) => msg.startsWith('xxx')).length + dropped).toBe(5000);
    expect(lines.at(-1)?.msg).toBe('the last line');
  },
);
