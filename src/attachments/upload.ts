import type { IncomingMessage, ServerResponse } from 'node:http';
import { UnavailableError } from '../errors.ts';
import { encodeId } from '../ids.ts';
import type { AttachmentType } from '../generated/prisma/enums.ts';
import { Intake, IntakeError } from './intake.ts';
import { claimUpload, keepFile, UploadTakenError } from './keep-file.ts';
import { hasExpired, isSignedBy, readLink } from './links.ts';
import type { AttachmentServices } from './model.ts';

/** An upload that is refused, with the status of the answer. */
class RefusedUpload extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

interface Awaited {
  id: string;
  organizationId: string;
  uploader: string;
  isPerson: boolean;
  status: 'PENDING' | 'READY';
  type: AttachmentType;
  bytes: number;
}

/** Answers a PUT: takes the file for which the address was made. Nothing is left of one that is refused or breaks off. */
export async function upload(
  services: AttachmentServices,
  req: IncomingMessage,
  res: ServerResponse,
  know: () => void,
): Promise<void> {
  const gone = new AbortController();
  // The peer went away while it waited for its turn.
  const leave = () => gone.abort(new IntakeError('BROKEN_OFF', 'The file did not arrive whole.'));
  res.once('close', leave);
  try {
    const awaited = await findAwaited(services, req);
    know();
    const { id, organizationId, uploader, isPerson, bytes, type } = awaited;
    checkLength(req, bytes);
    const sender = { organizationId, id: uploader, isPerson };
    await services.uploads.run(sender, gone.signal, async () => {
      const claim = await claimUpload(services, id);
      const intake = new Intake({ exactly: bytes });
      pass(req, intake);
      await keepFile(services, claim, intake, { wanted: type, bytes, isGivenAway: true });
    });
    answer(res, 201, { id: encodeId('Attachment', id), status: 'READY' });
  } catch (error) {
    refuse(services, req, res, error);
  } finally {
    res.off('close', leave);
  }
}

async function findAwaited({ pool }: AttachmentServices, req: IncomingMessage): Promise<Awaited> {
  const link = readLink(req.url ?? '');
  const found =
    link &&
    (await pool.query<Awaited & { secret: string }>({
      name: 'find-upload',
      text: `SELECT id, organization_id AS "organizationId", uploader, uploader ~ '^(contact|conversation):' AS "isPerson", status, type,
          bytes, secret
        FROM attachment WHERE id = $1 AND deleted_at IS NULL`,
      values: [link.id],
    }));
  const awaited = found?.rows[0];
  if (!link || !awaited || !isSignedBy(link, 'PUT', awaited.secret)) {
    throw new RefusedUpload(403, 'The address is wrong. Use `uploadUrl` as it was given.');
  }
  if (hasExpired(link)) throw new RefusedUpload(410, 'The address has expired. Create another attachment.');
  if (awaited.status === 'READY') throw new RefusedUpload(409, 'The file was uploaded already.');
  return awaited;
}

/** Spares what is refused at its end the way there. A length that is not told is counted. */
function checkLength({ headers }: IncomingMessage, bytes: number): void {
  const told = headers['content-length'];
  if (told === undefined || Number(told) === bytes) return;
  const detail = `The file has ${told} bytes in place of the ${bytes} that were told for it.`;
  throw new RefusedUpload(Number(told) > bytes ? 413 : 400, detail);
}

/** Like a pipeline, but leaves the request open for an answer if the file is refused. */
function pass(req: IncomingMessage, intake: Intake): void {
  const broken = () => {
    if (!req.complete) intake.destroy(new IntakeError('BROKEN_OFF', 'The file did not arrive whole.'));
  };
  req.once('close', broken);
  req.once('error', broken);
  intake.once('close', () => {
    req.off('close', broken);
    req.unpipe(intake);
  });
  if (req.destroyed) broken();
  else req.pipe(intake);
}

const statuses = { TOO_LARGE: 413, TOO_SHORT: 400, TOO_SLOW: 408, BROKEN_OFF: 400 } as const;

function refuse({ logger }: AttachmentServices, req: IncomingMessage, res: ServerResponse, error: unknown): void {
  // What still comes is not kept, but must be read for the answer to be.
  req.on('error', () => undefined).resume();
  if (!req.complete) res.setHeader('Connection', 'close');
  if (error instanceof RefusedUpload) answer(res, error.status, { error: error.message });
  else if (error instanceof UploadTakenError) answer(res, 409, { error: error.message });
  else if (error instanceof IntakeError) answer(res, statuses[error.reason], { error: error.message });
  else if (error instanceof UnavailableError) {
    res.setHeader('Retry-After', String(error.retryAfter));
    answer(res, 503, { error: error.message });
  } else {
    logger.error({ err: error }, 'could not take a file');
    res.setHeader('Retry-After', '10');
    answer(res, 503, { error: 'The file cannot be taken now. Try again.' });
  }
}

function answer(res: ServerResponse, status: number, body: object): void {
  if (res.headersSent || res.destroyed) return;
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}
