import { Readable } from 'node:stream';
import type { Caller } from '../access/caller.ts';
import { addAttachment } from './commands/create.ts';
import { Intake } from './intake.ts';
import { claimUpload, keepFile } from './keep-file.ts';
import type { AttachmentServices } from './model.ts';
import { removeUnnamed } from './remove.ts';

/**
 * Keeps bytes that are here as an attachment of the caller that a message may name. Returns its row id. Throws `UnavailableError` if
 * they cannot be stored now; then nothing is left. An attachment that no message names in a day is removed.
 */
export async function keepBytes(
  services: AttachmentServices,
  caller: Caller,
  { filename, bytes }: { filename: string; bytes: Uint8Array },
  signal: AbortSignal,
): Promise<string> {
  const size = bytes.byteLength;
  const { id } = await addAttachment(services, caller, { filename, bytes: size, type: 'OTHER' });
  try {
    const sender = { organizationId: caller.organizationId, id: caller.id, isPerson: false };
    await services.uploads.run(sender, signal, async () => {
      const claim = await claimUpload(services, id);
      const intake = new Intake({ exactly: size });
      Readable.from([Buffer.from(bytes.buffer, bytes.byteOffset, size)]).pipe(intake);
      await keepFile(services, claim, intake, { wanted: null, bytes: size });
    });
    return id;
  } catch (error) {
    await removeUnnamed(services, caller.organizationId, [id]);
    throw error;
  }
}
