import type { IncomingMessage, ServerResponse } from 'node:http';
import { download } from '../attachments/download.ts';
import { ATTACHMENTS_PATH } from '../attachments/links.ts';
import type { AttachmentServices } from '../attachments/model.ts';
import { upload } from '../attachments/upload.ts';

interface Peer {
  network: string;
  /** Its address is signed: it no longer counts as a stranger. */
  know: () => void;
}

/** Whether a request brings a file, which has limits of its own for how long it may take. */
export const isUpload = (method: string | undefined, path: string) =>
  method === 'PUT' && path.startsWith(ATTACHMENTS_PATH);

/**
 * Answers requests for a file. The address is the whole authority, and no cookie is looked at, so that pages of any origin may use it.
 */
export async function attachmentRoute(
  services: AttachmentServices,
  req: IncomingMessage,
  res: ServerResponse,
  peer: Peer,
): Promise<void> {
  res.setHeader('Cache-Control', 'no-store');
  res.setHeader('Access-Control-Allow-Origin', '*');
  res.setHeader(
    'Access-Control-Expose-Headers',
    'Accept-Ranges, Content-Disposition, Content-Range, ETag, Retry-After',
  );
  switch (req.method) {
    case 'PUT':
      return upload(services, req, res, peer.know);
    case 'GET':
    case 'HEAD':
      return download(services, req, res, peer);
    case 'OPTIONS':
      res.writeHead(204, {
        'Access-Control-Allow-Methods': 'GET, HEAD, PUT',
        'Access-Control-Allow-Headers': 'Content-Type, If-None-Match, If-Range, Range',
        'Access-Control-Max-Age': '600',
      });
      return void res.end();
    default:
      return void res.writeHead(405, { Allow: 'GET, HEAD, OPTIONS, PUT' }).end();
  }
}
