import type { Pool } from '../db.ts';
import type { Author } from '../access/caller.ts';
import { isJsonObject } from '../json.ts';
import type { TrackedKind } from '../jobs/tracked.ts';
import type { Logger } from '../logger.ts';
import { removeExports } from '../records/remove-exports.ts';
import { authorKinds } from '../access/caller.ts';
import { type ErasingServices, erasePerson } from './erase-person.ts';

/** What was asked for, of a job that is an erasure. */
export function erasureOf(input: unknown): { reason: string | null; actor: Author } {
  const { reason = null, actor = null } = isJsonObject(input) ? input : {};
  const kind = isJsonObject(actor) ? authorKinds.find((each) => each === actor.kind) : undefined;
  return {
    reason: typeof reason === 'string' ? reason : null,
    actor: isJsonObject(actor) && kind ? { ...actor, kind } : { kind: 'SYSTEM' },
  };
}

/** How erasures are run. Jobs of one organization run one after the other: no export runs meanwhile. */
export function erasureJobs(services: ErasingServices & { logger: Logger }): TrackedKind {
  const { pool, logger } = services;
  return {
    keepSeconds: 0,
    async run({ id, organizationId, input }, context) {
      const { actor } = erasureOf(input);
      await removeExports(services, organizationId);
      const people = await peopleOf(pool, id);
      for (const [index, { contactId, isPending }] of people.entries()) {
        if (isPending) {
          await erasePerson(services, { contactId, organizationId, actor }, context.signal);
          logger.info({ jobId: id, contactId }, 'a person was erased');
        }
        context.progress((index + 1) / people.length);
      }
      await removeExports(services, organizationId);
      return {};
    },
    // What is erased stays so.
    discard: () => Promise.resolve(),
  };
}

async function peopleOf(pool: Pool, jobId: string): Promise<{ contactId: string; isPending: boolean }[]> {
  const { rows } = await pool.query<{ contactId: string; isPending: boolean }>({
    text: `SELECT contact_id AS "contactId", bool_or(status = 'PENDING') AS "isPending" FROM erasure_target
      WHERE job_id = $1 AND contact_id IS NOT NULL GROUP BY contact_id ORDER BY min(index)`,
    values: [jobId],
  });
  return rows;
}
