import type { Caller } from '../../access/caller.ts';
import { type MessageFile, type NamedAttachments, withAttachments } from '../../attachments/name-in-message.ts';
import type { IdempotencyKey } from '../model.ts';
import type { ConversationServices } from '../services.ts';

interface Sending {
  files: readonly MessageFile[];
  /** Where they are in the input. */
  path: string[];
  idempotency: IdempotencyKey | null;
}

/** Runs a command with the attachments of its message; files from elsewhere are fetched first, unless it has succeeded before. */
export function withFiles<T>(
  services: ConversationServices,
  caller: Caller,
  { files, path, idempotency }: Sending,
  command: (attachments: NamedAttachments | null) => Promise<T>,
): Promise<T> {
  const isRepeated = async () => {
    if (!idempotency) return false;
    const { rows } = await services.pool.query({
      text: 'SELECT FROM idempotency WHERE organization_id = $1 AND caller = $2 AND key = $3',
      values: [caller.organizationId, idempotency.caller, idempotency.key],
    });
    return rows.length > 0;
  };
  return withAttachments(services, caller, { files, path, isRepeated }, command);
}
