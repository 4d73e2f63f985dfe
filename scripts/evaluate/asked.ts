import type pg from 'pg';
import { z } from 'zod';
import { knowledgeRuntime } from '../../src/agents/knowledge/runtime.ts';
import { partsOf } from '../../src/agents/runtime.ts';
import { newId } from '../../src/ids.ts';
import { importArticles, readArticles } from '../../src/knowledge/import.ts';
import { type KnowledgeFound, search } from '../../src/knowledge/search.ts';

/** Questions with what they should come to, as the fixtures of the tests hold them. */
export const questionList = z.array(
  z.looseObject({
    /** `answer`: from one of the articles. `foreign`: declined. `human`: handed over. */
    kind: z.enum(['answer', 'foreign', 'human']),
    question: z.string(),
    /** The slugs of the articles that answer it; left out where nobody has judged yet. */
    articles: z.array(z.string()).optional(),
  }),
);
export type Question = z.infer<typeof questionList>[number];

/** What a question came to. */
export interface Outcome {
  asked: Question;
  /** `answered` with the slug of the article, `declined`, or `handed over`. */
  came: 'answered' | 'declined' | 'handed over';
  article: string | null;
  text: string;
  /** The best passages with their scores, and those that are near. */
  found: KnowledgeFound;
}

/** Whether it is as it should be; null where nobody has judged. */
export function isRight({ asked: { kind, articles }, came, article }: Outcome): boolean | null {
  if (kind === 'foreign') return came === 'declined';
  if (kind === 'human') return came === 'handed over';
  if (came !== 'answered') return false;
  return articles ? articles.some((slug) => slug === article) : null;
}

/** An agent with a corpus of its own, read from a folder, that can be asked. */
export class Asked {
  private readonly pool: pg.Pool;
  private readonly corpusId: string;
  private readonly slugs: ReadonlyMap<string, string>;

  private constructor(pool: pg.Pool, corpusId: string, slugs: ReadonlyMap<string, string>) {
    this.pool = pool;
    this.corpusId = corpusId;
    this.slugs = slugs;
  }

  static async open(pool: pg.Pool, folder: string): Promise<Asked> {
    const [organizationId, corpusId] = [newId(), newId()];
    await pool.query('INSERT INTO organization (id, name) VALUES ($1, $2)', [organizationId, 'Evaluation']);
    await pool.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, $3)', [
      corpusId,
      organizationId,
      folder,
    ]);
    await importArticles(pool, corpusId, await readArticles(folder));
    const { rows } = await pool.query<{ id: string; slug: string }>(
      'SELECT id, slug FROM article WHERE corpus_id = $1',
      [corpusId],
    );
    return new Asked(pool, corpusId, new Map(rows.map(({ id, slug }) => [id, slug])));
  }

  /** Has the agent answer, as it would in a conversation. */
  async ask(asked: Question): Promise<Outcome> {
    let found: KnowledgeFound = { passages: [], near: [] };
    const runtime = knowledgeRuntime({
      search: async ({ corpusId, query, limit }) => (found = await search(this.pool, { corpusId, query, limit })),
      keepUnanswered: async () => undefined,
    });
    const turn = {
      organizationId: '',
      agentName: 'Guide',
      systemPrompt: null,
      greeting: null,
      state: { playbook: null, phase: null, systemMessage: null, context: null },
      playbook: null,
      tools: [],
      history: [{ id: '', role: 'USER' as const, text: asked.question, metadata: {}, queryMetadata: null }],
      parameters: { wordsPerSecond: 0 },
      absence: null,
      corpusId: this.corpusId,
    };
    let text = '';
    let isHandedOver = false;
    for await (const part of partsOf(runtime.reply(turn, new AbortController().signal))) {
      if (part.type === 'text-delta') text += part.text;
      if (part.type === 'handoff-request') isHandedOver = true;
    }
    const [best] = found.passages;
    const came = isHandedOver ? 'handed over' : best ? 'answered' : 'declined';
    return { asked, came, article: best ? this.slugOf(best) : null, text, found };
  }

  slugOf({ articleId }: { articleId: string }): string {
    return this.slugs.get(articleId) ?? articleId;
  }
}
