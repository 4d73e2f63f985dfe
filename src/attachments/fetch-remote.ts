import type { Caller } from '../access/caller.ts';
import { InvalidInputError, type InputIssueCode } from '../errors.ts';
import type { AttachmentType } from '../generated/prisma/enums.ts';
import { get, NoAnswerError } from '../outbound/get.ts';
import { PrivateAddressError } from '../outbound/public-address.ts';
import { addAttachment } from './commands/create.ts';
import { Intake, IntakeError } from './intake.ts';
import { claimUpload, keepFile } from './keep-file.ts';
import type { AttachmentServices } from './model.ts';
import { removeUnnamed } from './remove.ts';

/** How long all of one file may take, in milliseconds. */
const FETCH_MS = 20_000;

/** A file of a message that lies at a public address. */
export interface RemoteFile {
  url: string;
  filename: string | null;
  type: AttachmentType | null;
  /** Where it is in the input. */
  path: string[];
}

/**
 * Fetches a file and keeps it as an attachment of the caller. Returns its row id. Throws `InvalidInputError` if there is none to be had
 * at that address within its limits.
 */
export async function fetchRemote(services: AttachmentServices, caller: Caller, remote: RemoteFile): Promise<string> {
  const url = new URL(remote.url);
  const filename = remote.filename ?? lastPart(url);
  const { type, path } = remote;
  const { id } = await addAttachment(services, caller, { filename, bytes: 0, type: type ?? 'OTHER' });
  const { allowPrivateAddresses, maxAttachmentBytes, uploads } = services;
  const signal = AbortSignal.timeout(FETCH_MS);
  const sender = { organizationId: caller.organizationId, id: caller.id, isPerson: false };
  try {
    await uploads.run(sender, signal, async () => {
      const claim = await claimUpload(services, id);
      const response = await get(url, { allowPrivateAddresses, signal });
      const told = Number(response.headers['content-length'] ?? 0);
      if (told > maxAttachmentBytes) {
        response.destroy();
        throw new IntakeError('TOO_LARGE', `The file has more than ${maxAttachmentBytes} bytes.`);
      }
      const intake = new Intake({ atMost: maxAttachmentBytes });
      response.once('error', () => intake.destroy(new IntakeError('BROKEN_OFF', 'The file did not arrive whole.')));
      response.once('close', () => {
        if (!response.complete) intake.destroy(new IntakeError('BROKEN_OFF', 'The file did not arrive whole.'));
      });
      intake.once('close', () => response.destroy());
      response.pipe(intake);
      await keepFile(services, claim, intake, { wanted: type, isGivenAway: true });
    });
    return id;
  } catch (error) {
    await removeUnnamed(services, caller.organizationId, [id]);
    throw asIssue(error, path, signal) ?? error;
  }
}

function lastPart({ pathname }: URL): string {
  const part = pathname.split('/').at(-1) ?? '';
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** What is wrong with the address. Null for a fault of this server. */
function asIssue(error: unknown, path: string[], signal: AbortSignal): InvalidInputError | null {
  const issue = (detail: string, code: InputIssueCode = 'NOT_ALLOWED') =>
    new InvalidInputError([{ path, detail, code }]);
  if (error instanceof IntakeError)
    return issue(error.message, error.reason === 'TOO_LARGE' ? 'TOO_LARGE' : 'NOT_ALLOWED');
  if (error instanceof PrivateAddressError) return issue('The address is not public.');
  if (signal.aborted) return issue(`Did not give its file within ${FETCH_MS / 1000} seconds.`);
  if (error instanceof NoAnswerError) return issue(`The address ${error.message}.`);
  const isNetwork = error instanceof Error && 'syscall' in error;
  const isAnswer =
    error instanceof Error &&
    'code' in error &&
    /^(HPE_|ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ECONN|EPROTO)/.test(String(error.code));
  return isNetwork || isAnswer ? issue('The address could not be reached.') : null;
}
