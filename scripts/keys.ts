// Manages API keys from the shell:
//   npm run keys -- create NAME [--scopes read,write,admin] [--expires 2027-01-31] [--organization NAME]
//   npm run keys -- list
//   npm run keys -- revoke KEY_ID
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { createApiKey, revokeApiKey } from '../src/access/api-keys.ts';
import { readNewKey } from '../src/access/read-new-key.ts';
import { isKeyScope, keyScopes } from '../src/access/viewer.ts';
import type { PrismaClient } from '../src/db.ts';
import { InvalidInputError } from '../src/errors.ts';
import { decodeId, encodeId, newId } from '../src/ids.ts';
import { runWithDatabase, UsageError } from './with-database.ts';

const usage = `Usage:
  npm run keys -- create NAME [--scopes ${keyScopes.join(',')}] [--expires 2027-01-31] [--organization NAME]
  npm run keys -- list
  npm run keys -- revoke KEY_ID`;

await runWithDatabase(() => {
  const { positionals, values } = readArguments();
  const [command, subject, ...rest] = positionals;
  if (rest.length === 0 && command === 'create' && subject !== undefined) return create(subject, values);
  if (rest.length === 0 && command === 'revoke' && subject !== undefined)
    return (_pool, prisma) => revoke(prisma, subject);
  if (command === 'list' && subject === undefined) return list;
  throw new UsageError(usage);
});

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { scopes: { type: 'string' }, expires: { type: 'string' }, organization: { type: 'string' } },
    });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
}

function create(
  name: string,
  options: { scopes?: string | undefined; expires?: string | undefined; organization?: string | undefined },
): (pool: pg.Pool, prisma: PrismaClient) => Promise<string> {
  const expiresAt = options.expires === undefined ? null : new Date(options.expires);
  if (expiresAt && Number.isNaN(expiresAt.getTime()))
    throw new UsageError('--expires must be a date, like 2027-01-31.');
  const scopes = options.scopes?.split(',').map((scope) => {
    if (isKeyScope(scope)) return scope;
    throw new UsageError(`--scopes: ${scope} is none of ${keyScopes.join(', ')}.`);
  });
  const key = read(() => readNewKey({ name, scopes, expiresAt }, { scopes: keyScopes, expiresAt: null }));
  return async (pool) => {
    const organizationId = await findOrganization(pool, options.organization);
    const { id, secret } = await createApiKey(pool, newId, { organizationId, ...key });
    return `${encodeId('ApiKey', id)}  ${key.name}  ${key.scopes.join(',')}\nIts secret, shown only now:  ${secret}`;
  };
}

async function list(pool: pg.Pool): Promise<string> {
  const { rows } = await pool.query<{
    id: string;
    name: string;
    organization: string;
    scopes: string[];
    state: string;
    lastUsedAt: Date | null;
  }>(
    `SELECT k.id, k.name, o.name AS organization, k.scopes, k.last_used_at AS "lastUsedAt",
      CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'in force' END AS state
    FROM api_key k JOIN organization o ON o.id = k.organization_id ORDER BY o.created_at, k.created_at, k.id`,
  );
  return rows
    .map(({ id, name, organization, scopes, state, lastUsedAt }) =>
      [
        encodeId('ApiKey', id),
        organization,
        name,
        scopes.join(','),
        state,
        lastUsedAt ? `last used ${lastUsedAt.toISOString()}` : 'never used',
      ].join('  '),
    )
    .join('\n');
}

async function revoke(prisma: PrismaClient, publicId: string): Promise<string> {
  const id = decodeId('ApiKey', publicId);
  const key = id && (await prisma.apiKey.findUnique({ where: { id }, select: { id: true, organizationId: true } }));
  if (!key) throw new UsageError(`There is no key ${publicId}. List them with: npm run keys -- list`);
  await revokeApiKey(prisma, key);
  return `${publicId} is revoked. Open sockets of it close within seconds.`;
}

/** The organization of that name; without one, the only one. */
async function findOrganization(pool: pg.Pool, name: string | undefined): Promise<string> {
  const { rows } = await pool.query<{ id: string; name: string }>(
    'SELECT id, name FROM organization WHERE name = coalesce($1, name) ORDER BY created_at, id',
    [name ?? null],
  );
  const [found, another] = rows;
  if (!found) throw new UsageError('There is no such organization. The first start of the server makes one.');
  if (another)
    throw new UsageError(`Name one of these with --organization: ${rows.map((row) => row.name).join(', ')}.`);
  return found.id;
}

function read<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error;
    throw new UsageError(error.issues.map(({ path, detail }) => `${path.join('.')}: ${detail}`).join('\n'));
  }
}
