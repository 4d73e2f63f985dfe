import type pg from 'pg';
import type { PrismaClient } from '../db.ts';
import type { Prisma } from '../generated/prisma/client.ts';
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

/** How long a start may wait for those of other servers, in milliseconds. */
const PATIENCE = { maxWait: 10_000, timeout: 20_000 };

/**
 * On an empty database, creates an organization with a key, a corpus about Parley, and an agent that answers from it. Any number of
 * servers may do this at once. Returns the first organization.
 */
export async function bootstrap(
  { pool, prisma }: { pool: pg.Pool; prisma: PrismaClient },
  options: { apiKey: string | undefined; newId: NewId; corpusDirectory: string },
): Promise<Bootstrapped> {
  const { apiKey, newId } = options;
  const created = await prisma.$transaction(async (tx) => {
    await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtext('parley bootstrap'))`;
    const first = await tx.organization.findFirst({ orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] });
    if (first) return { organizationId: first.id, newKey: null, corpusId: await emptyCorpus(tx, first) };
    const [organizationId, agentId, corpusId] = [newId(), newId(), newId()];
    await tx.organization.create({ data: { id: organizationId, name: 'Demo' } });
    const { secret } = await createApiKey(tx, newId, { organizationId, name: 'First key' }, apiKey);
    await tx.corpus.create({ data: { id: corpusId, organizationId, name: 'About Parley' } });
    const guide = { name: 'Parley guide', runtime: 'knowledge' };
    await tx.agent.create({ data: { id: agentId, organizationId, ...guide, corpusId } });
    await tx.organization.update({ where: { id: organizationId }, data: { defaultAgentId: agentId } });
    return { organizationId, newKey: apiKey === undefined ? secret : null, corpusId };
  }, PATIENCE);
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

/** The default agent's corpus if an earlier start ended before filling it. */
async function emptyCorpus(
  prisma: Prisma.TransactionClient,
  { defaultAgentId }: { defaultAgentId: string | null },
): Promise<string | null> {
  if (defaultAgentId === null) return null;
  const corpus = await prisma.corpus.findFirst({
    where: { agents: { some: { id: defaultAgentId } }, articles: { none: {} } },
    select: { id: true },
  });
  return corpus?.id ?? null;
}
