import type { Task } from '../jobs/task.ts';
import { isJsonObject } from '../json.ts';
import { isUuid } from '../ids.ts';

/** Limits of letters. */
export const letterLimits = {
  /** Bytes of one that comes in. */
  raw: 30 * 1024 * 1024,
  /** KiB that an inbox takes in a minute, all letters together. */
  kibPerMinute: 100 * 1024,
  /** Bytes of what is kept of its whole text, beside its source. */
  wholeText: 1024 * 1024,
  /** Bytes of the files that go with one, all together. */
  files: 20_000_000,
  /** Characters of a subject that is sent. */
  subject: 200,
  /** Automatic answers that an address gets in an hour. */
  automaticPerHour: 10,
  /** Message ids that a letter refers to. */
  references: 20,
  /** How long letters are kept that belong to no conversation, in days. */
  keptDays: 30,
} as const;

/** How long after a message of a web chat its letter is due, in seconds: the contact may still come back and read it there. */
export const LEFT_SECONDS = 60;

/** Asks the domain name system, like `dns.promises.resolve`. */
export type ResolveDns = (name: string, type: string) => Promise<unknown>;

/** What names a letter in the queue. */
export interface LetterJob {
  letterId: string;
}

function readJob(payload: unknown): LetterJob {
  const letterId = isJsonObject(payload) ? payload.letterId : null;
  if (typeof letterId !== 'string' || !isUuid(letterId)) throw new Error('not the job of a letter');
  return { letterId };
}

/** A letter that came in becomes a message. */
export const receiveTask: Task<LetterJob> = { name: 'email.receive', lane: 'post', read: readJob };

/** A message goes out as a letter. */
export const sendTask: Task<LetterJob> = { name: 'email.send', lane: 'mail', read: readJob };

/** How many lines the letters of an organization wait in; of each line one is worked on at a time, so that none takes all workers. */
const LINES = 2;

/** SQL that adds the job of a letter to the line that the conversation, or else the letter, falls into. */
export const addJobSql = (task: Task<LetterJob>, letter: string, after = 'now()') => /* sql */ `graphile_worker.add_job(
  '${task.name}', json_build_object('letterId', ${letter}.id), run_at => ${after}, job_key => 'letter:' || ${letter}.id,
  queue_name => '${task.name}:' || ${letter}.organization_id || ':'
    || get_byte(uuid_send(coalesce(${letter}.conversation_id, ${letter}.id)), 15) % ${LINES})`;
