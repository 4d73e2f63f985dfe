import { readdirSync, readFileSync } from 'node:fs';
import {
  buildSchema,
  type GraphQLNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  parse,
  validate,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { modelRuntime } from '../src/agents/model/runtime.ts';
import { knowledgeRuntime } from '../src/agents/knowledge/runtime.ts';
import { VISIT_SECONDS } from '../src/inboxes/visits/start.ts';
import { settings } from '../src/settings.ts';
import { articleLimits } from '../src/knowledge/read-article.ts';
import { MAX_UNANSWERED } from '../src/knowledge/unanswered.ts';
import { createLogger } from '../src/logger.ts';
import { ROTATION_HOURS } from '../src/webhooks/model.ts';
import { MOST_TRIES } from '../src/webhooks/sending/schedule.ts';
import { schemas } from './harness/schemas.ts';

const root = new URL('../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, root), 'utf8');
const schema = buildSchema(read('schema.graphql'));
const articles = readdirSync(new URL('corpus', root)).map((name) => {
  const [, frontMatter = '', ...body] = read(`corpus/${name}`).split(/^---$/m);
  return { name, frontMatter, body: body.join('---') };
});

/** Every name of the schema: types, fields, arguments, values. */
const names = new Set(Object.values(schema.getTypeMap()).flatMap((type) => [type.name, ...namesIn(type)]));

function namesIn(type: GraphQLNamedType): string[] {
  if (isEnumType(type)) return type.getValues().map(({ name }) => name);
  if (isInputObjectType(type)) return Object.keys(type.getFields());
  if (!isObjectType(type) && !isInterfaceType(type)) return [];
  return Object.values(type.getFields()).flatMap((field) => [field.name, ...field.args.map(({ name }) => name)]);
}

const settingNames = new Set(settings.map(({ name }) => name));
const runtimes = [
  knowledgeRuntime({ search: () => Promise.reject(new Error('asked')), keepUnanswered: async () => undefined }),
  modelRuntime({
    search: () => Promise.reject(new Error('asked')),
    logger: createLogger({ level: 'silent' }),
    schemas,
    allowPrivateAddresses: false,
    settings: {},
  }),
];
const parameters = new Set(runtimes.flatMap(({ parametersSchema }) => Object.keys(parametersSchema.properties ?? {})));

/** What the articles may name besides, and where it is. */
const elsewhere: Record<string, string> = {
  followConversation: 'client/follow.ts',
  applyEvent: 'client/fold.ts',
  requestHandoff: 'src/agents/model/tools.ts',
  retryAfter: 'src/graphql/errors.ts',
  NODE_ENV: 'src/config.ts',
  UNAUTHENTICATED: 'src/graphql/errors.ts',
  FORBIDDEN: 'src/graphql/errors.ts',
  NOT_FOUND: 'src/graphql/errors.ts',
  BAD_USER_INPUT: 'src/graphql/errors.ts',
  RATE_LIMITED: 'src/graphql/errors.ts',
  RateLimit: 'src/graphql/http.ts',
  SERVICE_UNAVAILABLE: 'src/graphql/errors.ts',
  START_OVER: 'src/graphql/errors.ts',
  TOKEN_EXPIRED: 'src/graphql/errors.ts',
  INTERNAL_SERVER_ERROR: 'src/graphql/errors.ts',
};

/** The pieces of code in a text. */
const codeIn = (text: string) =>
  [...text.replace(/^```.*?^```$/gms, '').matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);

describe('the articles about Parley', () => {
  it.each(articles)('$name names only what there is', ({ body }) => {
    const words = codeIn(body)
      .filter((code) => !/[ /$]/.test(code) || /^\w+(: [A-Z_]+|: \[[A-Z_]+\])$/.test(code))
      .flatMap(
        (code) => code.match(/\b([a-z]+(?:[A-Z][a-z]+)+|(?:[A-Z][a-z]+){2,}|[A-Z]+(?:_[A-Z]+)+|[A-Z]{4,})\b/g) ?? [],
      );
    const unknown = words.filter((word) => {
      const file = elsewhere[word];
      return !(
        names.has(word) ||
        settingNames.has(word) ||
        parameters.has(word) ||
        (file && read(file).includes(word))
      );
    });
    expect(unknown).toEqual([]);
  });

  it.each(articles)('$name tells the defaults of settings as they are', ({ body }) => {
    const told = [...body.matchAll(/`([A-Z_]+)`(?:[^`\n]*?)\((\S+) unless set\)/g)];
    for (const [, name, value] of told) {
      expect([name, settings.find((setting) => setting.name === name)?.default]).toEqual([name, value]);
    }
    expect(told.length).toBe(body.match(/unless set\)/g)?.length ?? 0);
  });

  it.each(articles)('$name has examples that the schema takes', ({ body }) => {
    for (const [, document = ''] of body.matchAll(/^```graphql\n(.*?)^```$/gms)) {
      expect(validate(schema, parse(document))).toEqual([]);
    }
  });

  it('tells limits as they are', () => {
    const all = articles.map(({ body }) => body).join('\n');
    const claims: [claim: string, truth: boolean][] = [
      [`An article has up to 1 MiB and ${articleLimits.questions} questions`, articleLimits.body === 1024 * 1024],
      [`An organization keeps ${MAX_UNANSWERED} of them`, true],
      [
        'at most a day',
        /expiresInSeconds[\s\S]{0,80}/.test(read('schema.graphql')) &&
          read('schema.graphql').includes('1 to 86400 seconds'),
      ],
      [
        '15 minutes unless you give `expiresInSeconds`',
        read('schema.graphql').includes('expiresInSeconds: Int! = 900'),
      ],
      [
        'After 60 seconds it returns the reply as it is then',
        read('schema.graphql').includes('at most 60 seconds. A reply still running then is returned as it is'),
      ],
      ['remembered for at least 24 hours', read('schema.graphql').includes('kept for at least 24 hours')],
      [
        'A text has 1 character to 1 MiB, and a message up to 1000 fragments',
        read('schema.graphql').includes('1 to 1000 fragments, at most 1 MiB in total'),
      ],
      [
        'for each key (6,000; `RATE_LIMIT_PER_KEY`)',
        settings.find(({ name }) => name === 'RATE_LIMIT_PER_KEY')?.default === '6000',
      ],
      [
        'client tokens (120; `RATE_LIMIT_PER_CONTACT`)',
        settings.find(({ name }) => name === 'RATE_LIMIT_PER_CONTACT')?.default === '120',
      ],
      [`A delivery is tried ${MOST_TRIES} times`, true],
      [`for ${ROTATION_HOURS} hours both sign`, true],
      ['gets a client token for an hour', VISIT_SECONDS / 60 === 60],
      ['40 words per second by default', JSON.stringify(runtimes[0]?.parametersSchema).includes('"default":40')],
      ['Files and images are sent as attachments', names.has('createAttachment')],
      ['Single messages cannot be removed or edited', !names.has('editMessage') && !names.has('deleteMessage')],
      ['An ended conversation is not reopened', !names.has('reopenConversation')],
      [
        'You need Node 20.19, 22.12, 24 or newer',
        read('package.json').includes('"node": "^20.19.0 || ^22.12.0 || >=24"'),
      ],
    ];
    expect(claims.filter(([claim, truth]) => !truth || !all.includes(claim)).map(([claim]) => claim)).toEqual([]);
  });

  it.each(articles)('$name is found by at least eight questions', ({ frontMatter }) => {
    expect(frontMatter.match(/^ {2}- /gm)?.length).toBeGreaterThanOrEqual(8);
  });
});
