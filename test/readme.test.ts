import { existsSync, readFileSync } from 'node:fs';
import { buildSchema, type DocumentNode, isObjectType, parse, validate } from 'graphql';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { settings } from '../src/settings.ts';

const root = new URL('../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');

const readme = read('README.md');
const schema = buildSchema(read('schema.graphql'));

/** The rows of the table under a heading, without its head, as Markdown. */
function tableUnder(heading: string): string[][] {
  const section = readme.split(/^## /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

/** The code blocks in a language. */
function blocks(language: string): string[] {
  return [...readme.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, name, code]) =>
    name === language && code !== undefined ? [code] : [],
  );
}

describe('the README', () => {
  it('begins with the two commands that matter', () => {
    expect(blocks('sh').slice(0, 2)).toEqual(['npm ci && npm start\n', 'npm ci && npm test\n']);
  });

  it('lists every setting with its default and description', () => {
    const expected = settings.map(({ name, default: value, description }) => [
      `\`${name}\``,
      value === null ? 'unset' : `\`${value}\``,
      description,
    ]);
    expect(tableUnder('Settings')).toEqual(expected);
  });

  it('lists every failure that a mutation can come to', () => {
    const failures = Object.values(schema.getTypeMap())
      .filter(isObjectType)
      .filter((type) => type.getInterfaces().some(({ name }) => name === 'UserError'))
      .map(({ name }) => `\`${name}\``);
    expect(
      tableUnder('Conflicts')
        .map(([name]) => name)
        .sort(),
    ).toEqual(failures.sort());
  });

  it('asks only for what the schema has', () => {
    const bodies = [
      ...blocks('sh')
        .join('')
        .matchAll(/-d '(\{.*\})'/g),
    ].map(([, json = '']) => z.object({ query: z.string() }).parse(JSON.parse(json)));
    const documents: DocumentNode[] = [...bodies.map(({ query }) => query), ...blocks('graphql')].map((text) =>
      parse(text),
    );
    expect(documents.length).toBeGreaterThan(3);
    expect(documents.flatMap((document) => validate(schema, document))).toEqual([]);
  });

  it('names only scripts that there are', () => {
    const { scripts } = z.object({ scripts: z.record(z.string(), z.string()) }).parse(JSON.parse(read('package.json')));
    const named = [...readme.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name]) => name);
    expect(named.filter((name) => name === undefined || !(name in scripts))).toEqual([]);
  });

  it('links to and lays out only files that there are', () => {
    const links = [...readme.matchAll(/\]\((?!http)([^)#]+)/g)].map(([, path = '']) => path);
    const layout = readme.split('## Layout')[1]?.split('```')[1] ?? '';
    const paths = [...layout.matchAll(/^( *)(\S+) {2}/gm)].map(
      ([, indent, path = '']) => `${indent ? 'src/' : ''}${path}`,
    );
    expect(paths.length).toBeGreaterThan(10);
    expect([...links, ...paths].filter((path) => !existsSync(new URL(path, root)))).toEqual([]);
  });
});
