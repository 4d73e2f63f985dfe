import { spawn } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import { encodeId, newId } from '../src/ids.ts';
import { type Bundle, bundle } from './harness/bundle.ts';
import { ask } from './harness/client.ts';
import { createDatabase, FIRST_KEY, useDatabase } from './harness/database.ts';
import { usePrograms } from './harness/process.ts';
import { createTemporaryFolder } from './harness/temporary-folder.ts';

const root = join(import.meta.dirname, '..');
const { url: databaseUrl, pool } = useDatabase();

let folder: string;
beforeEach(() => {
  folder = createTemporaryFolder();
  write('cats.md', '---\ntags: [pets]\nurl: https://example.org/cats\n---\n# Cats\n\nThey purr.');
  write('wild/wolves.md', '# Wolves\n\nThey howl.');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): void {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), text);
}

let asOneFile: Bundle;
beforeAll(async () => {
  asOneFile = await bundle(join('scripts', 'knowledge.ts'), { alone: true });
});
afterAll(() => asOneFile.remove());

/** What `npm run knowledge -- ...` prints and comes to. From the sources, as that runs it, it starts several times more slowly. */
async function knowledge(
  args: string[],
  {
    env = { DATABASE_URL: databaseUrl },
    fromSources = false,
  }: { env?: Record<string, string>; fromSources?: boolean } = {},
) {
  const { PATH = '', HOME = '' } = process.env;
  const program = fromSources ? ['--import', 'tsx', join('scripts', 'knowledge.ts')] : [asOneFile.file];
  const script = spawn(process.execPath, [...program, ...args], {
    cwd: root,
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  script.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  script.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const code = await new Promise<number | null>((resolve) => script.on('close', resolve));
  return { code, ...output };
}

async function addOrganization(name: string): Promise<string> {
  const id = newId();
  await pool.query('INSERT INTO organization (id, name) VALUES ($1, $2)', [id, name]);
  return id;
}

async function addCorpus(organizationId: string, name: string): Promise<string> {
  const id = newId();
  await pool.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, $3)', [id, organizationId, name]);
  return id;
}

async function articles(): Promise<string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `SELECT concat_ws('|', o.name, c.name, slug, title, body, url, array_to_string(tags, ',')) AS line
     FROM article JOIN corpus c ON c.id = corpus_id JOIN organization o ON o.id = organization_id ORDER BY line`,
  );
  return rows.map(({ line }) => line);
}

const cats = 'cats|Cats|They purr.|https://example.org/cats|pets';
const wolves = 'wild/wolves|Wolves|They howl.|';

describe('an import from the shell', () => {
  beforeEach(() => pool.query('DELETE FROM organization'));

  test('makes a corpus of a new name, and updates it when it is run again', async () => {
    await addOrganization('Acme');
    const first = await knowledge(['import', '--corpus', 'Animals', folder], { fromSources: true });
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect(first.stdout).toMatch(
      /^Writing 2 articles to Animals \(corpus_\w+\)\.\n2 created, 0 updated, 0 unchanged, 0 removed\.\n$/,
    );
    expect(await articles()).toEqual([`Acme|Animals|${cats}`, `Acme|Animals|${wolves}`]);
    write('cats.md', '# Cats\n\nThey hiss.');
    rmSync(join(folder, 'wild'), { recursive: true });
    expect((await knowledge(['import', '--corpus', 'Animals', '--remove-others', folder])).stdout).toContain(
      '0 created, 1 updated, 0 unchanged, 1 removed.',
    );
    expect(await articles()).toEqual(['Acme|Animals|cats|Cats|They hiss.|']);
  });

  test('takes the id of a corpus where its name is not enough', async () => {
    const acme = await addOrganization('Acme');
    const ids = [await addCorpus(acme, 'Animals'), await addCorpus(await addOrganization('Zoo'), 'Animals')];
    const [, inZoo = ''] = ids.map((id) => encodeId('Corpus', id));
    const refused = await knowledge(['import', '--corpus', 'Animals', folder]);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining(inZoo) });
    expect(await knowledge(['import', '--corpus', inZoo, folder])).toMatchObject({ code: 0 });
    expect(await articles()).toEqual([`Zoo|Animals|${cats}`, `Zoo|Animals|${wolves}`]);
    const named = await knowledge(['import', '--corpus', 'Animals', '--organization', 'Acme', folder]);
    expect(named).toMatchObject({ code: 0 });
    expect(await articles()).toHaveLength(4);
    const nowhere = await knowledge(['import', '--corpus', 'New', folder]);
    expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('Acme, Zoo') });
  });

  test('writes nothing, and says why, when a file cannot be an article', async () => {
    await addOrganization('Acme');
    write('empty.md', '# Empty');
    write('link.md', '---\nurl: /relative\n---\n# Link\n\nText.');
    write('nul.md', 'A NUL: \0');
    const { code, stdout, stderr } = await knowledge(['import', '--corpus', 'Animals', folder]);
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr.trimEnd().split('\n')).toEqual([
      'Nothing was written, because of',
      '  empty.md: body: Must not be empty.',
      '  link.md: url: Must be an absolute http: or https: URL.',
      '  nul.md: body: Contains a NUL character (U+0000), which cannot be stored.',
    ]);
    const { rows } = await pool.query('SELECT FROM corpus');
    expect(rows).toEqual([]);
  });

  test('says what is wrong with how it is used', async () => {
    const usage = 'npm run knowledge -- import --corpus NAME_OR_ID FOLDER';
    const cases: [string[], string][] = [
      [['import', folder], usage],
      [['import', '--corpus', 'Animals', '--force', folder], usage],
      [['import', '--corpus', 'Animals', join(folder, 'none')], 'cannot be read'],
      [['import', '--corpus', 'Animals', join(root, 'prisma')], 'There are no .md files'],
      [['import', '--corpus', encodeId('Corpus', newId()), folder], 'There is no corpus'],
      [['import', '--corpus', 'Animals', folder], 'no such organization'],
    ];
    const outcomes = await Promise.all(cases.map(([args]) => knowledge(args)));
    for (const [index, [, message]] of cases.entries()) {
      expect(outcomes[index]).toEqual({ code: 1, stdout: '', stderr: expect.stringContaining(message) });
    }
  });
});

describe('beside a server', () => {
  const programs = usePrograms();

  test('an import fills what its agents answer from', async () => {
    const own = await createDatabase(inject('bootstrapped'));
    try {
      const key = FIRST_KEY;
      const env = { DATABASE_URL: own.url, BOOTSTRAP_API_KEY: key };
      const { url } = await programs.start(env);
      expect(await knowledge(['import', '--corpus', 'About Parley', folder], { env })).toMatchObject({ code: 0 });
      const start = `mutation {
        createConversation(input: { message: { content: { text: "Who howls?" } }, awaitReply: true
          runtimeParameters: { wordsPerSecond: 0 } }) { ... on CreateConversationPayload { reply { text } } }
      }`;
      const { createConversation } = await ask<{ createConversation: { reply: { text: string } } }>(
        { url, key },
        start,
      );
      expect(createConversation.reply.text).toBe('They howl.');
    } finally {
      await own.drop();
    }
  });
});
