import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { UnavailableError } from '../errors.ts';
import type { ByteRange } from '../storage/driver.ts';
import { readRange } from './byte-range.ts';
import { longestTransfer } from './intake.ts';
import { hasExpired, isSignedBy, readLink } from './links.ts';
import { type AttachmentServices, fileName } from './model.ts';
import { isShown } from './sniff.ts';

/** Whoever asks. `know` is called when they have a good address. */
interface Peer {
  network: string;
  know: () => void;
}

interface Found {
  id: string;
  organizationId: string;
  filename: string;
  contentType: string;
  bytes: number;
  fileId: string;
}

/** Answers GET and HEAD: sends the file, or a part of it, to whoever has its address. Whatever is wrong with that, the answer is the same. */
export async function download(
  services: AttachmentServices,
  req: IncomingMessage,
  res: ServerResponse,
  { network, know }: Peer,
): Promise<void> {
  const found = await find(services, req);
  if (!found) return answer(res, 404, 'The address is wrong or has expired. Ask for `url` of the attachment again.');
  know();
  const tag = `"${found.fileId}"`;
  const isSame = req.headers['if-range'] === undefined || req.headers['if-range'] === tag;
  const range = isSame && req.method === 'GET' ? readRange(req.headers.range, found.bytes) : null;
  if (range === 'UNSATISFIABLE') {
    res.setHeader('Content-Range', `bytes */${found.bytes}`);
    return answer(res, 416, `The file has ${found.bytes} bytes.`);
  }
  describe(res, found, tag);
  if (req.headers['if-none-match'] === tag) return void res.writeHead(304).end();
  if (req.method === 'HEAD') return void res.writeHead(200, { 'Content-Length': String(found.bytes) }).end();
  await send(services, res, found, range, network);
}

/** What browsers are told about the file, none of which lets it run in the name of this server. */
function describe(res: ServerResponse, { filename, contentType }: Found, tag: string): void {
  const type = contentType === 'text/plain' ? 'text/plain; charset=utf-8' : contentType;
  const inline = isShown(contentType);
  const ascii = filename.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(filename).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  res.setHeader('Content-Type', type);
  res.setHeader(
    'Content-Disposition',
    `${inline ? 'inline' : 'attachment'}; filename="${ascii}"; filename*=UTF-8''${encoded}`,
  );
  res.setHeader('X-Content-Type-Options', 'nosniff');
  res.setHeader('Content-Security-Policy', "default-src 'none'; sandbox");
  res.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
  res.setHeader('Accept-Ranges', 'bytes');
  res.setHeader('ETag', tag);
  res.setHeader('Cache-Control', 'private, max-age=300');
}

async function send(
  services: AttachmentServices,
  res: ServerResponse,
  { id, organizationId, fileId, bytes }: Found,
  range: ByteRange | null,
  network: string,
): Promise<void> {
  const { storage, downloads, logger } = services;
  const end = new AbortController();
  const leave = () => end.abort(new Error('The reader went away.'));
  res.once('close', leave);
  try {
    await downloads.run({ organizationId, id: network, isPerson: true }, end.signal, async () => {
      const content = await storage.read(fileName(fileId), range ?? undefined).catch(async (error: unknown) => {
        // Whether it is gone, or cannot be reached now.
        if (!(await storage.exists(fileName(fileId)).catch(() => true))) return null;
        throw new UnavailableError('The file cannot be read now. Try again.', 10, { cause: error });
      });
      if (!content) return answer(res, 404, 'The file is gone.');
      const length = range ? range.last - range.first + 1 : bytes;
      res.setHeader('Content-Length', String(length));
      if (range) res.setHeader('Content-Range', `bytes ${range.first}-${range.last}/${bytes}`);
      res.writeHead(range ? 206 : 200);
      const timer = setTimeout(() => end.abort(new Error('The file was read too slowly.')), longestTransfer(length));
      await pipeline(content, res, { signal: end.signal }).finally(() => clearTimeout(timer));
    });
  } catch (error) {
    if (res.headersSent) {
      // Too late for another answer: the connection is cut, so that nobody takes it for the whole file.
      if (!end.signal.aborted) logger.error({ err: error, attachmentId: id }, 'could not send a file');
      res.destroy();
    } else if (!end.signal.aborted) {
      if (error instanceof UnavailableError && error.cause !== undefined) {
        logger.error({ err: error.cause, attachmentId: id }, 'could not read a file');
      }
      res.setHeader('Retry-After', String(error instanceof UnavailableError ? error.retryAfter : 10));
      answer(res, 503, error instanceof UnavailableError ? error.message : 'The file cannot be sent now. Try again.');
    }
  } finally {
    res.off('close', leave);
  }
}

async function find({ pool }: AttachmentServices, req: IncomingMessage): Promise<Found | null> {
  const link = readLink(req.url ?? '');
  if (!link || hasExpired(link)) return null;
  const { rows } = await pool.query<Found & { secret: string }>({
    name: 'find-download',
    text: `SELECT id, organization_id AS "organizationId", filename, content_type AS "contentType", bytes, file_id AS "fileId", secret
      FROM attachment WHERE id = $1 AND status = 'READY' AND deleted_at IS NULL`,
    values: [link.id],
  });
  const [row] = rows;
  return row && isSignedBy(link, 'GET', row.secret) ? row : null;
}

function answer(res: ServerResponse, status: number, error: string): void {
  for (const name of ['Content-Disposition', 'ETag', 'Accept-Ranges', 'Content-Length']) res.removeHeader(name);
  res.setHeader('Cache-Control', 'no-store');
  res.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error }));
}
