import { inTransaction, type PrismaClient, type Queryable, type Pool } from '../db.ts';
import type { NewId } from '../ids.ts';
import { importArticles, readArticles } from '../knowledge/import.ts';
import { createApiKey } from './api-keys.ts';

export interface Bootstrapped {
  organizationId: string;
  /** The first key, if one was generated just now. It cannot be shown later. */
  newKey: string | null;
  /** Whether any key of that organization has been used, or was just given in the settings. */
  hasUsedKey: boolean;
}

/**
 * On an empty database, creates an organization with a key, a corpus about Parley, and an agent that answers from it. Any number of
 * servers may do this at once. Returns the first organization.
 */
export async function bootstrap(
  { pool, prisma }: { pool: Pool; prisma: PrismaClient },
  options: { apiKey: string | undefined; newId: NewId; corpusDirectory: string },
): Promise<Bootstrapped> {
  const { apiKey, newId } = options;
  const created = await inTransaction(pool, async (db) => {
    await db.query(`SELECT pg_advisory_xact_lock(hashtext('parley bootstrap'))`);
    const first = await firstOrganization(db);
    if (first) return { organizationId: first.id, newKey: null, corpusId: first.emptyCorpusId };
    const [organizationId, agentId, corpusId] = [newId(), newId(), newId()];
    await db.query({ text: `INSERT INTO organization (id, name) VALUES ($1, 'Demo')`, values: [organizationId] });
    const { secret } = await createApiKey(db, newId, { organizationId, name: 'First key' }, apiKey);
    await db.query({
      text: `INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, 'About Parley')`,
      values: [corpusId, organizationId],
    });
    await db.query({
      text: `INSERT INTO agent (id, organization_id, name, runtime, corpus_id) VALUES ($1, $2, 'Parley guide', 'knowledge', $3)`,
      values: [agentId, organizationId, corpusId],
    });
    await db.query({
      text: 'UPDATE organization SET default_agent_id = $2 WHERE id = $1',
      values: [organizationId, agentId],
    });
    return { organizationId, newKey: apiKey === undefined ? secret : null, corpusId };
  });
  if (created.corpusId) {
    await importArticles(pool, created.corpusId, await readArticles(options.corpusDirectory));
  }
  const { organizationId, newKey } = created;
  return { organizationId, newKey, hasUsedKey: apiKey !== undefined || (await hasUsedKey(prisma, organizationId)) };
}

async function hasUsedKey(prisma: PrismaClient, organizationId: string): Promise<boolean> {
  const used = { organizationId, lastUsedAt: { not: null } };
  return (await prisma.apiKey.findFirst({ where: used, select: { id: true } })) !== null;
}

/** The first organization, with its default agent's corpus if an earlier start ended before filling it. */
async function firstOrganization(db: Queryable): Promise<{ id: string; emptyCorpusId: string | null } | null> {
  const { rows } = await db.query<{ id: string; emptyCorpusId: string | null }>({
    text: `SELECT o.id, CASE WHEN NOT EXISTS (SELECT FROM article WHERE article.corpus_id = a.corpus_id) THEN a.corpus_id END
        AS "emptyCorpusId"
      FROM organization o LEFT JOIN agent a ON a.id = o.default_agent_id
      ORDER BY o.created_at, o.id LIMIT 1`,
  });
  return rows[0] ?? null;
}
