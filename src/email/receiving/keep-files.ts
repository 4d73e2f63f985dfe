import type { Caller } from '../../access/caller.ts';
import { keepBytes } from '../../attachments/keep-bytes.ts';
import { type AttachmentServices, MAX_ATTACHMENTS } from '../../attachments/model.ts';
import { removeUnnamed } from '../../attachments/remove.ts';
import { encodeId } from '../../ids.ts';
import type { LetterFile, LetterIssue } from '../letter/letter.ts';

/** Which files of a letter its message gets: those that its text does not show come first. An issue names each of the others. */
export function chooseFiles(
  files: readonly LetterFile[],
  maxBytes: number,
): { chosen: LetterFile[]; left: Pick<LetterIssue, 'text'>[] } {
  const left: Pick<LetterIssue, 'text'>[] = [];
  const named = (file: LetterFile) => `“${file.filename}”`;
  const leave = (some: readonly LetterFile[], why: string) => {
    if (some.length > 0) left.push({ text: `${some.map(named).join(', ')} ${why}`.slice(0, 1000) });
  };
  const whole = files.filter(({ bytes }) => bytes.byteLength > 0);
  const small = whole.filter(({ bytes }) => bytes.byteLength <= maxBytes);
  const sorted = [...small.filter(({ inline }) => !inline), ...small.filter(({ inline }) => inline)];
  leave(
    files.filter(({ bytes }) => bytes.byteLength === 0),
    'was left out: it is empty.',
  );
  leave(
    whole.filter(({ bytes }) => bytes.byteLength > maxBytes),
    `was left out: a file may have ${maxBytes} bytes.`,
  );
  leave(sorted.slice(MAX_ATTACHMENTS), `was left out: a message may have ${MAX_ATTACHMENTS} files.`);
  return { chosen: sorted.slice(0, MAX_ATTACHMENTS), left };
}

/**
 * Runs a command with files as attachments of its message, which are stored before and named in the statement that writes it. Should
 * anything fail, they are removed.
 */
export async function withKeptFiles<T>(
  services: AttachmentServices,
  caller: Caller,
  { files, signal }: { files: readonly LetterFile[]; signal: AbortSignal },
  command: (attachments: { id: string }[]) => Promise<T>,
): Promise<T> {
  const attachmentIds: string[] = [];
  try {
    for (const file of files) attachmentIds.push(await keepBytes(services, caller, file, signal));
    return await command(attachmentIds.map((id) => ({ id: encodeId('Attachment', id) })));
  } catch (error) {
    // Those that a message names all the same, since only the answer was lost, stay.
    if (attachmentIds.length > 0) await removeUnnamed(services, caller.organizationId, attachmentIds);
    throw error;
  }
}
