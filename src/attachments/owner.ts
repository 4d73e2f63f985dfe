import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { AttachmentServices } from './model.ts';

/** The name of the file that says which database the files belong to. */
export const OWNER = 'owner';

/**
 * Whether the files in the storage belong to this database; the first that asks has them. A copy of a database, restored elsewhere, may
 * name the same storage: to it, files of the original that are newer belong to nobody.
 */
export async function ownsFiles({ pool, storage }: Pick<AttachmentServices, 'pool' | 'storage'>): Promise<boolean> {
  const { rows } = await pool.query<{ identity: string }>(
    `SELECT system_identifier || ' ' || (SELECT oid FROM pg_database WHERE datname = current_database()) AS identity
      FROM pg_control_system()`,
  );
  const identity = rows[0]?.identity ?? '';
  if (!(await storage.exists(OWNER))) {
    const content = Buffer.from(identity);
    await storage.write(OWNER, Readable.from([content]), { bytes: content.length });
  }
  return (await text(await storage.read(OWNER))) === identity;
}
