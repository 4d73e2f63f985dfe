import type pg from 'pg';
import { inTransaction } from '../db.ts';
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
  pool: pg.Pool,
  options: { apiKey: string | undefined; newId: NewId; corpusDirectory: string },
): Promise<Bootstrapped> {
  const { apiKey, newId } = options;
  const created = await inTransaction(pool, async (db) => {
    await db.query('SELECT pg_advisory_xact_lock(hashtext($1))', ['parley bootstrap']);
    const { rows } = await db.query<{ id: string }>('SELECT id FROM organization ORDER BY created_at, id LIMIT 1');
    if (rows[0]) return { organizationId: rows[0].id, newKey: null, corpusId: await emptyCorpus(db, rows[0].id) };
    const [organizationId, agentId, corpusId] = [newId(), newId(), newId()];
    await db.query('INSERT INTO organization (id, name, default_agent_id) VALUES ($1, $2, $3)', [
      organizationId,
      'Demo',
      agentId,
    ]);
    const { secret } = await createApiKey(db, newId, { organizationId, name: 'First key' }, apiKey);
    await db.query('INSERT INTO corpus (id, organization_id, name) VALUES ($1, $2, $3)', [
      corpusId,
      organizationId,
      'About Parley',
    ]);
    await db.query('INSERT INTO agent (id, organization_id, name, runtime, corpus_id) VALUES ($1, $2, $3, $4, $5)', [
      agentId,
      organizationId,
      'Parley guide',
      'knowledge',
      corpusId,
    ]);
    return { organizationId, newKey: apiKey === undefined ? secret : null, corpusId };
  });
  if (created.corpusId) {
    await importArticles(pool, created.corpusId, await readArticles(options.corpusDirectory));
  }
  const { organizationId, newKey } = created;
  return { organizationId, newKey, hasUsedKey: apiKey !== undefined || (await hasUsedKey(pool, organizationId)) };
}

async function hasUsedKey(pool: pg.Pool, organizationId: string): Promise<boolean> {
  const { rowCount } = await pool.query(
    'SELECT FROM api_key WHERE organization_id = $1 AND last_used_at IS NOT NULL LIMIT 1',
    [organizationId],
  );
  return rowCount !== 0;
}

/** The default agent's corpus if an earlier start ended before filling it. */
async function emptyCorpus(db: pg.PoolClient, organizationId: string): Promise<string | null> {
  const { rows } = await db.query<{ id: string }>(
    `SELECT agent.corpus_id AS id FROM organization JOIN agent ON agent.id = organization.default_agent_id
      WHERE organization.id = $1 AND agent.corpus_id IS NOT NULL
        AND NOT EXISTS (SELECT FROM article WHERE article.corpus_id = agent.corpus_id)`,
    [organizationId],
  );
  return rows[0]?.id ?? null;
}
