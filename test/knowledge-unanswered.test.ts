import { beforeAll, describe, expect, test } from 'vitest';
import { newId } from '../src/ids.ts';
import { keepUnanswered, MAX_UNANSWERED } from '../src/knowledge/unanswered.ts';
import { ask, graphql, type Target } from './harness/client.ts';
import { addTenant, rowId, type Tenant } from './harness/products.ts';
import { useServer } from './harness/server.ts';

const server = useServer();
let tenant: Tenant;
let foreigner: Tenant;
let corpusId: string;
let articleId: string;

interface Question {
  id: string;
  text: string;
  askedCount: number;
  corpus: { id: string };
}

async function unanswered(target: Target = tenant, args = 'first: 100'): Promise<Question[]> {
  const document = `{ unansweredQuestions(${args}) { nodes { id text askedCount corpus { id } } } }`;
  return (await ask<{ unansweredQuestions: { nodes: Question[] } }>(target, document)).unansweredQuestions.nodes;
}

const texts = async (target?: Target, args?: string) => (await unanswered(target, args)).map(({ text }) => text);

async function answerWith(input: object, target: Target = tenant) {
  const document = `mutation ($input: AnswerWithArticleInput!) { result: answerWithArticle(input: $input) {
    __typename
    ... on AnswerWithArticlePayload { article { questions } deletedUnansweredQuestionIds }
    ... on NotFoundError { path }
    ... on InvalidInputError { issues { path detail } }
  } }`;
  return (await ask<{ result: Record<string, unknown> }>(target, document, { input })).result;
}

const keep = (text: string, corpus = corpusId) =>
  keepUnanswered({ pool: server.services.pool, newId }, { corpusId: rowId('Corpus', corpus), text });

async function makeCorpus(name: string): Promise<string> {
  const made = await ask<{ createCorpus: { corpus: { id: string } } }>(
    tenant,
    'mutation ($name: String!) { createCorpus(input: { name: $name }) { ... on CreateCorpusPayload { corpus { id } } } }',
    { name },
  );
  return made.createCorpus.corpus.id;
}

beforeAll(async () => {
  tenant = await addTenant(server, 'knowledge');
  foreigner = await addTenant(server, 'knowledge');
  corpusId = await makeCorpus('Zoo');
  const written = await ask<{ upsertArticle: { article: { id: string } } }>(
    tenant,
    `mutation ($input: UpsertArticleInput!) { upsertArticle(input: $input) { ... on UpsertArticlePayload { article { id } } } }`,
    {
      input: {
        corpusId,
        slug: 'lions',
        title: 'Lions',
        body: 'They sleep twenty hours a day.',
        questions: ['Do lions roar?'],
      },
    },
  );
  articleId = written.upsertArticle.article.id;
});

describe('questions that have no answer', () => {
  test('are kept when an agent declines them, alike ones as one, and become questions of an article', async () => {
    const asked = async (text: string) => {
      const document = `mutation ($input: CreateConversationInput!) { createConversation(input: $input) {
        ... on CreateConversationPayload { reply { text citations { title heading url article { id } } } }
      } }`;
      const input = {
        corpusId,
        message: { content: { text } },
        runtimeParameters: { wordsPerSecond: 0 },
        awaitReply: true,
      };
      const { createConversation } = await ask<{
        createConversation: { reply: { text: string; citations: { title: string }[] } };
      }>(tenant, document, { input });
      return createConversation.reply;
    };
    expect((await asked('When may visitors feed the tigers?')).text).toContain('I do not know');
    await asked('feed tigers, visitors?');
    await asked('Where is the ticket office?');
    const kept = await unanswered();
    expect(kept).toEqual([
      {
        id: expect.stringMatching(/^unanswered_/),
        text: 'When may visitors feed the tigers?',
        askedCount: 2,
        corpus: { id: corpusId },
      },
      { id: expect.any(String), text: 'Where is the ticket office?', askedCount: 1, corpus: { id: corpusId } },
    ]);
    const unansweredQuestionIds = kept.map(({ id }) => id);
    expect(await answerWith({ articleId, unansweredQuestionIds })).toEqual({
      __typename: 'AnswerWithArticlePayload',
      article: {
        questions: ['Do lions roar?', 'When may visitors feed the tigers?', 'Where is the ticket office?'],
      },
      deletedUnansweredQuestionIds: unansweredQuestionIds,
    });
    expect(await unanswered()).toEqual([]);
    expect(await asked('where do I find the ticket office')).toEqual({
      text: 'They sleep twenty hours a day.',
      citations: [{ title: 'Lions', heading: null, url: null, article: { id: articleId } }],
    });
  });

  test('are counted once each by whoever asks at the same time', async () => {
    const corpus = await makeCorpus('Aviary');
    await Promise.all(Array.from({ length: 8 }, () => keep('Do parrots swear?', corpus)));
    const kept = await unanswered(tenant, `corpusId: "${corpus}", first: 10`);
    expect(kept.map(({ askedCount }) => askedCount)).toEqual([8]);
  });

  test('are read page by page, the most frequent first, and of one corpus', async () => {
    const corpus = await makeCorpus('Aquarium');
    for (const text of ['sharks', 'whales', 'whales', 'squids', 'squids', 'squids']) await keep(text, corpus);
    await keep('penguins');
    const page = async (args: string) => texts(tenant, `corpusId: "${corpus}", ${args}`);
    expect(await page('first: 10')).toEqual(['squids', 'whales', 'sharks']);
    expect(await page('first: 1')).toEqual(['squids']);
    expect(await page('last: 1')).toEqual(['sharks']);
    const { unansweredQuestions } = await ask<{ unansweredQuestions: { pageInfo: { endCursor: string } } }>(
      tenant,
      `{ unansweredQuestions(corpusId: "${corpus}", first: 1) { pageInfo { endCursor } } }`,
    );
    expect(await page(`first: 1, after: "${unansweredQuestions.pageInfo.endCursor}"`)).toEqual(['whales']);
  });

  test('are those of the own organization, and not for end users', async () => {
    await keep('Where do the zebras live?');
    const [question] = await unanswered();
    const id = question?.id ?? '';
    expect(await unanswered(foreigner)).toEqual([]);
    expect(await ask(foreigner, 'query ($id: ID!) { node(id: $id) { id } }', { id })).toEqual({ node: null });
    expect(await answerWith({ articleId, unansweredQuestionIds: [id] }, foreigner)).toMatchObject({
      __typename: 'NotFoundError',
      path: ['articleId'],
    });
  });

  test('are all taken or none', async () => {
    await keep('Do camels spit?');
    const other = await makeCorpus('Elsewhere');
    await keep('Do llamas spit?', other);
    const ids = async () => (await unanswered()).map(({ id }) => id);
    const before = await ids();
    const own = (await unanswered()).find(({ text }) => text === 'Do camels spit?')?.id ?? '';
    const foreign = (await unanswered()).find(({ text }) => text === 'Do llamas spit?')?.id ?? '';
    expect(await answerWith({ articleId, unansweredQuestionIds: [own, 'unanswered_x'] })).toMatchObject({
      __typename: 'NotFoundError',
      path: ['unansweredQuestionIds', '1'],
    });
    expect(await answerWith({ articleId, unansweredQuestionIds: [own, foreign] })).toMatchObject({
      __typename: 'InvalidInputError',
      issues: [{ path: ['unansweredQuestionIds', '1'] }],
    });
    expect(await answerWith({ articleId, unansweredQuestionIds: [] })).toMatchObject({
      __typename: 'InvalidInputError',
    });
    expect(await ids()).toEqual(before);
  });

  test('are kept up to a limit, and what was asked longest ago goes first', async () => {
    const { pool } = server.services;
    await pool.query(
      `INSERT INTO unanswered_question (id, organization_id, corpus_id, text, terms, likeness, last_asked_at)
       SELECT gen_random_uuid(), organization_id, id, 'old ' || n, ARRAY['old' || n], 'old' || n, now() - interval '1 day'
       FROM corpus, generate_series(1, $2) AS n WHERE id = $1`,
      [rowId('Corpus', corpusId), MAX_UNANSWERED],
    );
    await keep('Can I adopt an otter?');
    const { rows } = await pool.query<{ count: number; kept: boolean }>(
      `SELECT count(*)::int, bool_or(text LIKE '%otter%') AS kept FROM unanswered_question
       WHERE organization_id = (SELECT organization_id FROM corpus WHERE id = $1)`,
      [rowId('Corpus', corpusId)],
    );
    expect(rows).toEqual([{ count: MAX_UNANSWERED, kept: true }]);
  });

  test('may be any text', async () => {
    const corpus = await makeCorpus('Odd');
    for (const text of [
      '',
      '?!',
      'nul \0 zebra',
      'half \ud800 giraffe',
      `${'é'.repeat(3000)} okapi`,
      'word '.repeat(100_000),
    ]) {
      await keep(text, corpus);
    }
    const kept = await texts(tenant, `corpusId: "${corpus}", first: 100`);
    expect(kept.every((text) => Buffer.byteLength(text) <= 1024)).toBe(true);
    expect((await graphql(tenant, '{ unansweredQuestions(first: 100) { nodes { text } } }')).errors).toBeUndefined();
  });
});
