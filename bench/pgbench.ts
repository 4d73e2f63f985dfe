import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { numberedIdSql, type SendStatement } from './send-statement.ts';

const run = promisify(execFile);

/** Stands for null, which a variable of pgbench cannot be, nor empty. */
const NULL = '-';

/** The version of the pgbench that is installed; null where there is none. */
export async function pgbenchVersion(): Promise<string | null> {
  return run('pgbench', ['--version']).then(
    ({ stdout }) => stdout.trim(),
    () => null,
  );
}

/** Has pgbench send for a time, in numbered conversations; returns how many messages a second. */
export async function pgbench(
  databaseUrl: string,
  options: { statement: SendStatement; conversations: number; connections: number; seconds: number; newId: string },
): Promise<number> {
  const { statement, conversations, connections, seconds } = options;
  const folder = mkdtempSync(join(tmpdir(), 'parley-pgbench-'));
  try {
    const file = join(folder, 'send.sql');
    writeFileSync(file, `\\set number random(1, ${conversations})\n${scriptOf(statement, options.newId)};\n`);
    const variables = statement.values.flatMap((value, index) => ['-D', `p${index + 1}=${value ?? NULL}`]);
    const how = ['-n', '-M', 'prepared', '-c', String(connections), '-T', String(seconds), '-f', file];
    const { stdout } = await run('pgbench', [...how, ...variables, databaseUrl]);
    const [, rate] = /tps = ([\d.]+)/.exec(stdout) ?? [];
    return Number(rate);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The statement with pgbench's variables as parameters. They are all texts. */
function scriptOf({ text, values, conversationId, messageId }: SendStatement, newId: string): string {
  const types = new Map([...text.matchAll(/\$(\d+)::(\w+)/g)].map(([, number = '', type = '']) => [number, type]));
  return text.replace(/\$(\d+)(::\w+)?/g, (_parameter, number: string) => {
    const value = values[Number(number) - 1] ?? null;
    const type = types.get(number) ?? 'text';
    if (value === conversationId) return numberedIdSql(':number');
    if (value?.includes(messageId)) return `jsonb_set(:p${number}::jsonb, '{id}', to_jsonb(${newId}))`;
    return value === null ? `nullif(:p${number}, '${NULL}')::${type}` : `:p${number}::${type}`;
  });
}
