import type { Caller } from '../access/caller.ts';
import { InvalidInputError, NotFoundError } from '../errors.ts';
import type { AttachmentType } from '../generated/prisma/enums.ts';
import { decodeId } from '../ids.ts';
import type { ValueReader } from '../value-reader.ts';
import { fetchRemote, type RemoteFile } from './fetch-remote.ts';
import { type AttachmentServices, MAX_ATTACHMENTS } from './model.ts';
import { removeUnnamed } from './remove.ts';

/** One file of a message; exactly one of both. */
export interface AttachmentInput {
  id?: string | null | undefined;
  remote?:
    | { url: string | URL; filename?: string | null | undefined; type?: AttachmentType | null | undefined }
    | null
    | undefined;
}

/** A file that a message is to have: an attachment by its row id, or one to be fetched. */
export type MessageFile = { id: string } | { remote: RemoteFile };

/** The attachments that a message names, by row ids in order, each of which its uploader has and no message names yet. */
export interface NamedAttachments {
  uploader: string;
  ids: string[];
  /** Where they are in the input. */
  path: string[];
}

/** Reads the files of a message. Throws `NotFoundError` for an id that names nothing at all. */
export function readFiles(
  reader: ValueReader,
  { confinedTo }: Pick<Caller, 'confinedTo'>,
  path: string[],
  inputs: readonly AttachmentInput[] | null | undefined,
): MessageFile[] {
  if (!inputs) return [];
  if (inputs.length > MAX_ATTACHMENTS) {
    reader.refuse(path, `Names ${inputs.length} files; at most ${MAX_ATTACHMENTS} are allowed.`, 'TOO_LONG');
    return [];
  }
  const files = inputs.flatMap(({ id, remote }, index): MessageFile[] => {
    const at = [...path, String(index)];
    if (id != null) {
      const uuid = decodeId('Attachment', id);
      if (!uuid) throw new NotFoundError([...at, 'id']);
      return [{ id: uuid }];
    }
    if (confinedTo) reader.refuse([...at, 'remote'], 'Is for operators: a client token cannot give it.');
    const url = reader.url([...at, 'remote', 'url'], remote?.url);
    const filename = reader.text([...at, 'remote', 'filename'], remote?.filename) ?? null;
    if (url === undefined) return [];
    return [{ remote: { url, filename, type: remote?.type ?? null, path: [...at, 'remote', 'url'] } }];
  });
  const ids = files.flatMap((file) => ('id' in file ? [file.id] : []));
  if (new Set(ids).size < ids.length) reader.refuse(path, 'Names a file twice.', 'DUPLICATE');
  return files;
}

/**
 * Runs a command with the attachments of its message, after those from elsewhere were fetched. If it fails these are removed.
 * `isRepeated` tells whether the command has succeeded before: then nothing is fetched, since it will not be carried out.
 */
export async function withAttachments<T>(
  services: AttachmentServices,
  caller: Caller,
  { files, path, isRepeated }: { files: readonly MessageFile[]; path: string[]; isRepeated: () => Promise<boolean> },
  command: (named: NamedAttachments | null) => Promise<T>,
): Promise<T> {
  if (files.length === 0) return command(null);
  const fetches = files.some((file) => 'remote' in file) && !(await isRepeated());
  const fetched: string[] = [];
  try {
    const ids: string[] = [];
    for (const file of files) {
      if ('id' in file) {
        ids.push(file.id);
      } else if (fetches) {
        const id = await services.clock.apart(() => fetchRemote(services, caller, file.remote));
        fetched.push(id);
        ids.push(id);
      }
    }
    return await command({ uploader: caller.id, ids, path });
  } catch (error) {
    // The message may be committed all the same, when only the answer was lost.
    if (fetched.length > 0) await removeUnnamed(services, caller.organizationId, fetched);
    throw error;
  }
}

/** Why an attachment cannot be named, as the statement tells it. */
export interface AttachmentFault {
  /** Its place in the list, from 0. */
  place: number;
  reason: 'UNKNOWN' | 'PENDING' | 'NAMED';
}

export function attachmentFailure({ place, reason }: AttachmentFault, path: string[]): Error {
  const at = [...path, String(place), 'id'];
  if (reason === 'UNKNOWN') return new NotFoundError(at);
  const detail = reason === 'PENDING' ? 'Its file is not uploaded yet.' : 'A message names it already.';
  return new InvalidInputError([{ path: at, code: 'NOT_ALLOWED', detail }]);
}
