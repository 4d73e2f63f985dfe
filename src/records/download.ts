import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { Pool } from '../db.ts';
import { decodeId, encodeId } from '../ids.ts';
import type { Logger } from '../logger.ts';
import { errorCode } from '../postgres/error-code.ts';
import type { Storage } from '../storage/storage.ts';
import { readExportState } from './export-lines.ts';
import { type ExportFormat, exportOf } from './exports.ts';

export const EXPORTS_PATH = '/exports/';

/** How long an address is good, in seconds. */
const GOOD_SECONDS = 3600;

interface Signed {
  id: string;
  secret: string;
}

const sign = ({ id, secret }: Signed, expires: string) =>
  createHmac('sha256', Buffer.from(secret, 'hex')).update(`${id} ${expires}`).digest();

/** An address that is good for an hour, for whoever has it. */
export function downloadUrl(publicUrl: string, job: Signed): string {
  const expires = String(Math.floor(Date.now() / 1000) + GOOD_SECONDS);
  const url = new URL(EXPORTS_PATH + encodeId('Export', job.id), publicUrl);
  url.searchParams.set('expires', expires);
  url.searchParams.set('signature', sign(job, expires).toString('base64url'));
  return url.href;
}

const contentTypes: Record<ExportFormat, string> = {
  XLSX: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  CSV: 'text/csv; charset=utf-8; header=present',
  JSONL: 'application/jsonl; charset=utf-8',
};

/** Answers a request for the file of an export. Whatever is wrong with the address, the answer is the same. */
export async function download(
  { pool, storage, logger }: { pool: Pool; storage: Pick<Storage, 'read'>; logger: Pick<Logger, 'error'> },
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  res.setHeader('Cache-Control', 'private, no-store');
  if (req.method !== 'GET' && req.method !== 'HEAD') {
    res.writeHead(405, { Allow: 'GET, HEAD' }).end();
    return;
  }
  const file = await findFile(pool, new URL(req.url ?? '/', 'http://localhost'));
  if (!file) {
    res.writeHead(404, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify({ error: 'The address is wrong or has expired. Ask for `url` of the export again.' }));
    return;
  }
  res.writeHead(200, {
    'Content-Type': contentTypes[file.format],
    'Content-Length': String(file.bytes),
    'Content-Disposition': `attachment; filename="${file.name}"`,
    'Content-Security-Policy': "default-src 'none'; sandbox",
  });
  if (req.method === 'HEAD') {
    res.end();
    return;
  }
  const content = async function* () {
    for (const part of file.parts) yield* await storage.read(part);
  };
  await pipeline(content, res).catch((error: unknown) => {
    // A reader that went away.
    if (errorCode(error) === 'ERR_STREAM_PREMATURE_CLOSE') return;
    // Too late for another answer: the connection is cut, so that nobody takes it for the whole file.
    logger.error({ err: error, jobId: file.id }, 'could not send the file of an export');
    res.destroy();
  });
}

async function findFile(pool: Pool, { pathname, searchParams }: URL) {
  const id = decodeId('Export', pathname.slice(EXPORTS_PATH.length));
  const expires = searchParams.get('expires') ?? '';
  if (!id || !/^\d{1,12}$/.test(expires) || Number(expires) * 1000 < Date.now()) return null;
  const { rows } = await pool.query<{ secret: string; input: unknown; state: unknown; createdAt: Date }>({
    name: 'find-export',
    text: `SELECT secret, input, state, created_at AS "createdAt" FROM job WHERE id = $1 AND kind = 'EXPORT' AND status = 'DONE'
      AND expires_at > now()`,
    values: [id],
  });
  const job = rows[0];
  if (!job) return null;
  const given = Buffer.from(searchParams.get('signature') ?? '', 'base64url');
  const right = sign({ id, secret: job.secret }, expires);
  if (given.length !== right.length || !timingSafeEqual(given, right)) return null;
  const { bytes, parts } = readExportState(job.state);
  if (parts.length === 0) return null;
  const { kind, format } = exportOf(job.input);
  const day = job.createdAt.toISOString().slice(0, 10);
  return { id, bytes, parts, format, name: `${kind.toLowerCase()}-${day}.${format.toLowerCase()}` };
}
