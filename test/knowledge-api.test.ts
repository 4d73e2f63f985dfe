import { beforeAll, describe, expect, test } from 'vitest';
import { encodeId, newId } from '../src/ids.ts';
import { ask, graphql, type Target } from './harness/client.ts';
import { addAgent, addTenant, rowId, type Tenant } from './harness/products.ts';
import { countRows } from './harness/rows.ts';
import { useServer } from './harness/server.ts';

const server = useServer();
let foreigner: Tenant;
beforeAll(async () => {
  foreigner = await addTenant(server, 'knowledge');
});

interface Article {
  id: string;
  slug: string;
  title: string;
  body: string;
  url: string | null;
  tags: string[];
  questions: string[];
  updatedAt: string;
}

/** Each member of the unions has those of the fields that are its own. */
interface Outcome {
  __typename: string;
  detail?: string;
  path?: string[];
  issues?: { path: string[]; detail: string }[];
  corpus?: { id: string; name: string };
  article?: Article;
  created?: boolean;
  deletedArticleId?: string;
  deletedCorpusId?: string;
}

const articleFields = 'id slug title body url tags questions updatedAt';
const notFound = '... on NotFoundError { detail path }';
const invalid = '... on InvalidInputError { detail issues { path detail } }';

const commands = {
  createCorpus: `... on CreateCorpusPayload { corpus { id name } } ${invalid}`,
  upsertArticle: `... on UpsertArticlePayload { article { ${articleFields} } created } ${notFound} ${invalid}`,
  deleteArticle: `... on DeleteArticlePayload { deletedArticleId } ${notFound}`,
  deleteCorpus: `... on DeleteCorpusPayload { deletedCorpusId } ${notFound}`,
};

function run(command: keyof typeof commands, target: Target = server) {
  const type = `${command.charAt(0).toUpperCase()}${command.slice(1)}Input`;
  const document = `mutation ($input: ${type}!) { result: ${command}(input: $input) { __typename ${commands[command]} } }`;
  return async (input: Record<string, unknown>): Promise<Outcome> =>
    (await ask<{ result: Outcome }>(target, document, { input })).result;
}

const create = run('createCorpus');
const upsert = run('upsertArticle');
const deleteArticle = run('deleteArticle');
const deleteCorpus = run('deleteCorpus');

async function newCorpus(name = 'Help'): Promise<string> {
  const { corpus, ...other } = await create({ name });
  if (!corpus) throw new Error(JSON.stringify(other));
  return corpus.id;
}

async function written(input: Record<string, unknown>): Promise<Article> {
  const { article, ...other } = await upsert(input);
  if (!article) throw new Error(JSON.stringify(other));
  return article;
}

interface Found {
  article: { slug: string };
  heading: string;
  text: string;
  score: number;
}

async function search(args: Record<string, unknown>, target: Target = server): Promise<Found[] | null> {
  const document = `query ($corpusId: ID!, $query: String!, $tags: [String!], $first: Int! = 5) {
    searchKnowledge(corpusId: $corpusId, query: $query, tags: $tags, first: $first) {
      article { slug } heading text score
    }
  }`;
  return (await ask<{ searchKnowledge: Found[] | null }>(target, document, args)).searchKnowledge;
}

async function slugsFor(args: Record<string, unknown>): Promise<string[]> {
  return [...new Set((await search(args))?.map(({ article }) => article.slug))];
}

const parrots = { slug: 'parrots', title: 'Parrots', body: 'They talk.\n\n## Food\n\nSeeds.', tags: ['birds', 'loud'] };
const finches = { slug: 'finches', title: 'Finches', body: 'They sing, and eat seeds too.', tags: ['birds'] };

describe('a corpus', () => {
  test('is made, is listed by name, and is read by its id', async () => {
    const ids = await Promise.all(['Zoo', 'Aviary', 'Aviary'].map(newCorpus));
    const list = '{ corpora(first: 100) { nodes { id name } } }';
    const { corpora } = await ask<{ corpora: { nodes: { id: string; name: string }[] } }>(server, list);
    const names = corpora.nodes.map(({ name }) => name);
    expect(names).toEqual(names.toSorted());
    expect(corpora.nodes.filter(({ id }) => ids.includes(id)).map(({ name }) => name)).toEqual([
      'Aviary',
      'Aviary',
      'Zoo',
    ]);
    const read =
      'query ($id: ID!) { corpus(id: $id) { name articles { nodes { id } } } node(id: $id) { id __typename } }';
    expect(await ask(server, read, { id: ids[0] })).toEqual({
      corpus: { name: 'Zoo', articles: { nodes: [] } },
      node: { id: ids[0], __typename: 'Corpus' },
    });
  });

  test('is listed page by page, in both directions', async () => {
    const target = await addTenant(server, 'knowledge');
    const make = run('createCorpus', target);
    for (const name of ['b', 'd', 'a', 'c', 'c']) await make({ name });
    const page = async (args: string) => {
      const document = `{ corpora(${args}) { nodes { name } pageInfo { startCursor endCursor hasNextPage hasPreviousPage } } }`;
      return (
        await ask<{
          corpora: {
            nodes: { name: string }[];
            pageInfo: { startCursor: string; endCursor: string; hasNextPage: boolean; hasPreviousPage: boolean };
          };
        }>(target, document)
      ).corpora;
    };
    const first = await page('first: 3');
    expect(first.nodes.map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    expect(first.pageInfo.hasNextPage).toBe(true);
    const rest = await page(`first: 3, after: "${first.pageInfo.endCursor}"`);
    expect(rest.nodes.map(({ name }) => name)).toEqual(['c', 'd']);
    expect(rest.pageInfo.hasNextPage).toBe(false);
    const back = await page(`last: 2, before: "${rest.pageInfo.startCursor}"`);
    expect(back.nodes.map(({ name }) => name)).toEqual(['b', 'c']);
  });

  test('has a name', async () => {
    for (const name of ['', '  ', 'a\0b', 'a\ud83d', 'x'.repeat(1025)]) {
      expect(await create({ name })).toMatchObject({ __typename: 'InvalidInputError', issues: [{ path: ['name'] }] });
    }
  });
});

describe('an article', () => {
  test('is written whole, with an id that stays when it is written again', async () => {
    const corpusId = await newCorpus();
    const url = 'https://example.org/parrots';
    const questions = ['Why does mine swear?', 'Can it learn words?'];
    const first = await upsert({ corpusId, ...parrots, url, questions });
    expect(first).toMatchObject({
      created: true,
      article: { ...parrots, url, questions, id: expect.stringMatching(/^article_/) },
    });
    const { tags: _tags, ...bare } = parrots;
    const second = await upsert({ corpusId, ...bare, title: 'The parrot' });
    expect(second).toMatchObject({
      created: false,
      article: { ...bare, title: 'The parrot', url: null, tags: [], questions: [], id: first.article?.id },
    });
  });

  test('that is written again as it is does not change', async () => {
    const corpusId = await newCorpus();
    const before = await written({ corpusId, ...parrots });
    expect(await upsert({ corpusId, ...parrots, tags: ['birds', 'loud', 'birds'] })).toEqual({
      __typename: 'UpsertArticlePayload',
      created: false,
      article: before,
    });
  });

  test('is a node, and knows its corpus', async () => {
    const corpusId = await newCorpus();
    const { id } = await written({ corpusId, ...parrots });
    const read = 'query ($id: ID!) { node(id: $id) { __typename id ... on Article { slug corpus { id } } } }';
    expect(await ask(server, read, { id })).toEqual({
      node: { __typename: 'Article', id, slug: 'parrots', corpus: { id: corpusId } },
    });
    expect(await ask(foreigner, read, { id })).toEqual({ node: null });
  });

  test('is listed in its corpus by slug, by tag too, page by page', async () => {
    const corpusId = await newCorpus();
    for (const slug of ['e', 'b', 'd', 'a', 'c']) {
      await written({ corpusId, slug, title: slug, body: slug, tags: slug < 'd' ? ['early'] : ['late', slug] });
    }
    const page = async (args: string) => {
      const document = `query ($id: ID!) { corpus(id: $id) { articles${args} { nodes { slug } pageInfo { endCursor startCursor } } } }`;
      const { corpus } = await ask<{
        corpus: { articles: { nodes: { slug: string }[]; pageInfo: { endCursor: string; startCursor: string } } };
      }>(server, document, { id: corpusId });
      return { slugs: corpus.articles.nodes.map(({ slug }) => slug), ...corpus.articles.pageInfo };
    };
    expect((await page('')).slugs).toEqual(['a', 'b', 'c', 'd', 'e']);
    const first = await page('(first: 2)');
    expect(first.slugs).toEqual(['a', 'b']);
    const next = await page(`(first: 2, after: "${first.endCursor}")`);
    expect(next.slugs).toEqual(['c', 'd']);
    expect((await page(`(last: 1, before: "${next.startCursor}")`)).slugs).toEqual(['b']);
    expect((await page('(tags: ["early"])')).slugs).toEqual(['a', 'b', 'c']);
    expect((await page('(tags: ["early", "e"], last: 2)')).slugs).toEqual(['c', 'e']);
    expect((await page('(tags: [])')).slugs).toEqual([]);
  });

  test('written at once by several ends as one of them, whole, and is created once', async () => {
    const corpusId = await newCorpus();
    const marks = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta'];
    const inputs = marks.map((mark, i) => ({
      corpusId,
      slug: 'same',
      title: mark,
      body: Array.from({ length: i + 1 }, () => `## ${mark}\n\n${mark}`).join('\n\n'),
    }));
    const outcomes = await Promise.all(inputs.map((input) => upsert(input)));
    expect(outcomes.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(outcomes.map(({ article }) => article?.id)).size).toBe(1);
    const { pool } = server.services;
    const { rows } = await pool.query<{ title: string; passages: string[]; words: string[] }>(
      `SELECT article.title, array_agg(passage.title || heading || text) AS passages,
         ARRAY(SELECT word FROM corpus_word WHERE corpus_id = $1) AS words
       FROM article JOIN passage ON article_id = id WHERE article.corpus_id = $1 GROUP BY article.id`,
      [rowId('Corpus', corpusId)],
    );
    const last = rows[0]?.title ?? '';
    const passages = Array.from({ length: marks.indexOf(last) + 1 }, () => last.repeat(3));
    expect(rows).toEqual([{ title: last, passages, words: [last] }]);
  });

  test('written and deleted at once is there as it was written, or not at all', async () => {
    const corpusId = await newCorpus();
    for (let i = 0; i < 5; i++) {
      const { id } = await written({ corpusId, ...parrots });
      const [deleted, again, twice] = await Promise.all([
        deleteArticle({ articleId: id }),
        upsert({ corpusId, ...parrots, title: `Version ${i}` }),
        deleteArticle({ articleId: id }),
      ]);
      expect([deleted.__typename, twice.__typename].sort()).toEqual(['DeleteArticlePayload', 'NotFoundError']);
      expect(again.__typename).toBe('UpsertArticlePayload');
      const { rows } = await server.services.pool.query<{ titles: string[] }>(
        `SELECT array_agg(DISTINCT passage.title) AS titles FROM article LEFT JOIN passage ON article_id = id
         WHERE article.corpus_id = $1 GROUP BY id`,
        [rowId('Corpus', corpusId)],
      );
      expect(rows).toEqual(again.created ? [{ titles: [`Version ${i}`] }] : []);
    }
  });
});

describe('what is refused', () => {
  const KiB = 1024;
  const valid = { slug: 's', title: 'T', body: 'B' };
  const faults: [string, Record<string, unknown>, string[][]][] = [
    ['an empty slug, title and body', { slug: '', title: ' ', body: '\n' }, [['slug'], ['title'], ['body']]],
    ['a slug of 513 bytes', { slug: 'x'.repeat(513) }, [['slug']]],
    ['a title over 1 KiB', { title: 'x'.repeat(KiB + 1) }, [['title']]],
    ['a body over 1 MiB of UTF-8', { body: 'é'.repeat((KiB * KiB) / 2 + 1) }, [['body']]],
    ['a body of 2,001 sections', { body: '# H\n\nx\n\n'.repeat(2001) }, [['body']]],
    ['a URL that is no address of a page', { url: 'ftp://example.org/' }, [['url']]],
    ['a URL over 2 KiB', { url: `https://example.org/${'x'.repeat(2 * KiB)}` }, [['url']]],
    ['101 tags', { tags: Array.from({ length: 101 }, String) }, [['tags']]],
    [
      'a tag that is empty or too long',
      { tags: ['a', '', 'x'.repeat(101)] },
      [
        ['tags', '1'],
        ['tags', '2'],
      ],
    ],
    ['101 questions', { questions: Array.from({ length: 101 }, String) }, [['questions']]],
    [
      'a question that is empty or too long',
      { questions: ['a', ' ', 'x'.repeat(KiB + 1)] },
      [
        ['questions', '1'],
        ['questions', '2'],
      ],
    ],
    [
      'a NUL',
      { slug: 'a\0', title: 'a\0', body: 'a\0', tags: ['a\0'], questions: ['a\0'] },
      [['slug'], ['title'], ['body'], ['tags', '0'], ['questions', '0']],
    ],
    [
      'half a surrogate pair',
      { slug: '\ud83d', title: '\ud83d', body: 'a\ude00', tags: ['\ud83d'] },
      [['slug'], ['title'], ['body'], ['tags', '0']],
    ],
  ];

  test.each(faults)('%s', async (_name, wrong, paths) => {
    const corpusId = await newCorpus();
    const before = await countRows(server.services.pool);
    const outcome = await upsert({ corpusId, ...valid, ...wrong });
    const issues = paths.map((path) => ({ path, detail: expect.stringMatching(/\.$/) }));
    expect(outcome).toMatchObject({ __typename: 'InvalidInputError', issues });
    expect(outcome.issues).toHaveLength(paths.length);
    expect(await countRows(server.services.pool)).toEqual(before);
  });

  test('and what is just allowed is taken', async () => {
    const corpusId = await newCorpus();
    const body = 'word '.repeat((KiB * KiB) / 5) + 'x';
    const tags = Array.from({ length: 100 }, (_, i) => String(i).padStart(100, 'x'));
    const input = { corpusId, slug: 'x'.repeat(512), title: 'é'.repeat(KiB / 2), body, tags };
    expect(await upsert(input)).toMatchObject({ created: true, article: { body, tags } });
    expect(await upsert({ corpusId, ...valid, body: '# H\n\nx\n\n'.repeat(2000) })).toMatchObject({ created: true });
  });

  test('a heading as long as the body does not make the passages long', async () => {
    const corpusId = await newCorpus();
    const spaces = ' '.repeat(400 * KiB);
    const body = `# a${spaces}b ${'#'.repeat(10)} ${spaces}c\n\nUnder it.\n\n.${spaces.slice(0, 200 * KiB)}.`;
    await written({ corpusId, ...valid, body });
    const { rows } = await server.services.pool.query<{ length: number }>(
      'SELECT max(length(heading)) AS length FROM passage WHERE corpus_id = $1',
      [rowId('Corpus', corpusId)],
    );
    expect(rows[0]?.length).toBeLessThanOrEqual(200);
  });

  test.each(['nonsense', '', encodeId('Message', newId()), encodeId('Corpus', newId()), encodeId('Article', newId())])(
    'an id that names nothing: %s',
    async (id) => {
      expect(await upsert({ corpusId: id, ...valid })).toMatchObject({
        __typename: 'NotFoundError',
        path: ['corpusId'],
      });
      expect(await deleteCorpus({ corpusId: id })).toMatchObject({ __typename: 'NotFoundError', path: ['corpusId'] });
      expect(await deleteArticle({ articleId: id })).toMatchObject({
        __typename: 'NotFoundError',
        path: ['articleId'],
      });
      expect(await search({ corpusId: id, query: 'parrots' })).toBeNull();
      expect(await ask(server, 'query ($id: ID!) { corpus(id: $id) { id } }', { id })).toEqual({ corpus: null });
    },
  );

  test("another organization's corpus and articles are not found, and stay as they are", async () => {
    const corpusId = await newCorpus('Ours');
    const { id } = await written({ corpusId, ...parrots });
    const before = await countRows(server.services.pool);
    const theirs = (command: keyof typeof commands) => run(command, foreigner);
    expect(await theirs('upsertArticle')({ corpusId, ...finches })).toMatchObject({ path: ['corpusId'] });
    expect(await theirs('deleteArticle')({ articleId: id })).toMatchObject({ path: ['articleId'] });
    expect(await theirs('deleteCorpus')({ corpusId })).toMatchObject({ path: ['corpusId'] });
    expect(await search({ corpusId, query: 'parrots' }, foreigner)).toBeNull();
    expect(await ask(foreigner, 'query ($id: ID!) { corpus(id: $id) { id } }', { id: corpusId })).toEqual({
      corpus: null,
    });
    expect(await ask(foreigner, '{ corpora { nodes { name } } }')).toEqual({ corpora: { nodes: [] } });
    expect(await countRows(server.services.pool)).toEqual(before);
  });

  test.each([
    ['too few', { first: 0 }],
    ['too many', { first: 51 }],
    ['a NUL', { query: 'a\0b' }],
    ['half a surrogate pair', { query: 'a\ud83d' }],
    ['a tag with a NUL', { tags: ['a\0'] }],
    ['a question over 64 KiB', { query: 'x'.repeat(64 * KiB + 1) }],
  ])('a search for %s', async (_name, wrong) => {
    const corpusId = await newCorpus();
    const document = `query ($corpusId: ID!, $query: String!, $tags: [String!], $first: Int! = 5) {
      searchKnowledge(corpusId: $corpusId, query: $query, tags: $tags, first: $first) { text }
    }`;
    const { errors } = await graphql(server, document, { corpusId, query: 'parrots', ...wrong });
    expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
  });
});

describe('a search', () => {
  test('finds what was just written, and not what it says no more', async () => {
    const corpusId = await newCorpus();
    await written({ corpusId, ...parrots });
    await written({ corpusId, ...finches });
    const found = await search({ corpusId, query: 'What do parrots eat? Which food?' });
    expect(found?.[0]).toEqual({
      article: { slug: 'parrots' },
      heading: 'Food',
      text: 'Seeds.',
      score: expect.any(Number),
    });
    await written({ corpusId, ...parrots, body: 'They fly.\n\n## Sleep\n\nAt night they hang upside down.' });
    expect(await slugsFor({ corpusId, query: 'who sleeps at night?' })).toEqual(['parrots']);
    expect(await slugsFor({ corpusId, query: 'who talks?' })).toEqual([]);
    const { id } = await written({ corpusId, ...finches, body: 'They chirp.' });
    expect(await slugsFor({ corpusId, query: 'who chirps?' })).toEqual(['finches']);
    await deleteArticle({ articleId: id });
    expect(await slugsFor({ corpusId, query: 'who chirps?' })).toEqual([]);
    expect(await slugsFor({ corpusId, query: 'finches' })).toEqual([]);
  });

  test('finds an article by the questions that it answers, and shows what it says', async () => {
    const corpusId = await newCorpus();
    await written({ corpusId, ...parrots, questions: ['Why does my pet keep swearing?', 'How loud does it get?'] });
    await written({ corpusId, ...finches, questions: ['Which pet is easy to look after?'] });
    const [first, ...others] = (await search({ corpusId, query: 'why is my pet swaering' })) ?? [];
    expect(first).toMatchObject({ article: { slug: 'parrots' }, heading: '', text: 'They talk.' });
    expect(others.filter(({ text }) => text.includes('?'))).toEqual([]);
    await written({ corpusId, ...parrots, questions: ['How loud does it get?'] });
    expect(await slugsFor({ corpusId, query: 'does it swear?' })).toEqual([]);
    await written({
      corpusId,
      slug: 'bare',
      title: 'Bare',
      body: '# Only a heading',
      questions: ['Do walruses sing?'],
    });
    expect(await search({ corpusId, query: 'Do walruses sing?' })).toEqual([]);
  });

  test('is narrowed to articles with at least one of the tags', async () => {
    const corpusId = await newCorpus();
    await written({ corpusId, ...parrots });
    await written({ corpusId, ...finches });
    const query = 'seeds';
    expect((await slugsFor({ corpusId, query })).sort()).toEqual(['finches', 'parrots']);
    expect((await slugsFor({ corpusId, query, tags: [] })).sort()).toEqual(['finches', 'parrots']);
    expect((await slugsFor({ corpusId, query, tags: ['birds'] })).sort()).toEqual(['finches', 'parrots']);
    expect(await slugsFor({ corpusId, query, tags: ['loud', 'quiet'] })).toEqual(['parrots']);
    expect(await slugsFor({ corpusId, query, tags: ['quiet'] })).toEqual([]);
    expect(await search({ corpusId, query, first: 1 })).toHaveLength(1);
  });
});

describe('a reply', () => {
  const fields = 'text fragments { __typename metadata }';
  interface Reply {
    text: string;
    fragments: { __typename: string; metadata: { citations?: { articleId: string; title: string }[] } }[];
  }
  const send = async (conversationId: string, content: string, queryMetadata?: unknown): Promise<Reply> => {
    const document = `mutation ($input: SendMessageInput!) {
      sendMessage(input: $input) { __typename ... on SendMessagePayload { reply { ${fields} } } }
    }`;
    const input = { conversationId, content: { text: content }, awaitReply: true, queryMetadata };
    return (await ask<{ sendMessage: { reply: Reply } }>(server, document, { input })).sendMessage.reply;
  };
  const start = async (input: Record<string, unknown>): Promise<string> => {
    const document = `mutation ($input: CreateConversationInput!) {
      result: createConversation(input: $input) { ... on CreateConversationPayload { conversation { id } } }
    }`;
    const runtimeParameters = { wordsPerSecond: 0 };
    const all = { input: { action: 'NONE', runtimeParameters, ...input } };
    return (await ask<{ result: { conversation: { id: string } } }>(server, document, all)).result.conversation.id;
  };

  test("cites articles by ids that can be read, and is narrowed by the tags of its message's query metadata", async () => {
    const corpusId = await newCorpus();
    await written({ corpusId, ...parrots });
    const { id } = await written({ corpusId, ...finches });
    const agentId = await addAgent(server.services, { runtime: 'knowledge', corpusId: rowId('Corpus', corpusId) });
    const conversationId = await start({ agentId });
    const reply = await send(conversationId, 'Who sings?');
    expect(reply.text).toContain('They sing');
    const citations = reply.fragments.flatMap(({ metadata }) => metadata.citations ?? []);
    expect(citations).toMatchObject([{ articleId: id, title: 'Finches' }]);
    expect((await send(conversationId, 'seeds', { tags: ['loud'] })).text).toBe('Seeds.');
    expect((await send(conversationId, 'Who sings?', { tags: ['loud'] })).text).toMatch(/^I do not know/);
    for (const other of [{ tags: [] }, { tags: 'loud' }, { team: 'x' }, undefined]) {
      expect((await send(conversationId, 'Who sings?', other)).text).toContain('They sing');
    }
  });

  test('is narrowed by the search metadata of its conversation, for every message', async () => {
    const corpusId = await newCorpus();
    await written({ corpusId, ...parrots });
    await written({ corpusId, ...finches });
    const agentId = await addAgent(server.services, { runtime: 'knowledge', corpusId: rowId('Corpus', corpusId) });
    const conversationId = await start({ agentId, searchMetadata: { tags: ['loud'] } });
    for (const other of [undefined, { team: 'x' }, undefined]) {
      expect((await send(conversationId, 'Who sings?', other)).text).toMatch(/^I do not know/);
    }
    expect((await send(conversationId, 'Who sings?', { tags: ['birds'] })).text).toContain('They sing');
    expect((await send(conversationId, 'Who sings?')).text).toMatch(/^I do not know/);
    const document = `mutation ($id: ID!, $searchMetadata: JSONObject) {
      updateConversation(input: { conversationId: $id, searchMetadata: $searchMetadata }) {
        ... on UpdateConversationPayload { conversation { version searchMetadata } }
      }
    }`;
    const update = (searchMetadata: object) => ask(server, document, { id: conversationId, searchMetadata });
    const updated = await update({ tags: ['birds'] });
    expect(updated).toMatchObject({ updateConversation: { conversation: { searchMetadata: { tags: ['birds'] } } } });
    expect(await update({ tags: ['birds'] })).toEqual(updated);
    expect((await send(conversationId, 'Who sings?')).text).toContain('They sing');
  });

  test('does without a corpus that was deleted: its agent has none then, and its conversation that of the agent', async () => {
    const own = await newCorpus();
    await written({ corpusId: own, ...parrots });
    const other = await newCorpus();
    await written({ corpusId: other, ...finches });
    const agentId = await addAgent(server.services, { runtime: 'knowledge', corpusId: rowId('Corpus', own) });
    const conversationId = await start({ agentId, corpusId: other });
    expect((await send(conversationId, 'Who sings?')).text).toContain('They sing');
    expect(await deleteCorpus({ corpusId: other })).toEqual({
      __typename: 'DeleteCorpusPayload',
      deletedCorpusId: other,
    });
    expect(await deleteCorpus({ corpusId: other })).toMatchObject({ __typename: 'NotFoundError' });
    expect((await send(conversationId, 'Who sings?')).text).toMatch(/^I do not know/);
    expect((await send(conversationId, 'Who talks?')).text).toContain('They talk');
    await deleteCorpus({ corpusId: own });
    expect((await send(conversationId, 'Who talks?')).text).toMatch(/^I do not know/);
    const read = 'query ($a: ID!, $c: ID!) { agent(id: $a) { corpus { id } } conversation(id: $c) { corpus { id } } }';
    expect(await ask(server, read, { a: agentId, c: conversationId })).toEqual({
      agent: { corpus: null },
      conversation: { corpus: null },
    });
    const { rows } = await server.services.pool.query(
      `SELECT FROM article WHERE corpus_id = ANY ($1) UNION ALL SELECT FROM passage WHERE corpus_id = ANY ($1)
       UNION ALL SELECT FROM corpus_word WHERE corpus_id = ANY ($1)`,
      [[own, other].map((id) => rowId('Corpus', id))],
    );
    expect(rows).toEqual([]);
  });
});
