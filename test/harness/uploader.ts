// A process of its own, started by `fork`: uploads files of zeroes to the addresses that it is sent, all at once; again what was refused
// because it had waited too long. Sends the statuses.
import { request } from 'node:http';
import { setPriority } from 'node:os';

const BYTES = Number(process.argv[2]);
const piece = Buffer.alloc(65_536);

// Peers run elsewhere: what they need of this machine must be nobody's time.
setPriority(19);

function upload(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const req = request(url, { method: 'PUT', agent: false, headers: { 'content-length': BYTES } });
    req.on('response', (res) => resolve(res.resume().statusCode ?? 0)).on('error', reject);
    let left = BYTES;
    const go = () => {
      while (left > 0) {
        const part = piece.subarray(0, Math.min(left, piece.length));
        left -= part.length;
        if (!req.write(part)) return void req.once('drain', go);
      }
      req.end();
    };
    go();
  });
}

/** Whoever still writes when it is refused sees the connection end. */
async function uploadAtLast(url: string): Promise<number> {
  const status = await upload(url).catch((error: unknown) => {
    if (error instanceof Error && /EPIPE|ECONNRESET/.test(error.message)) return 503;
    throw error;
  });
  return status === 503 ? uploadAtLast(url) : status;
}

process.on(
  'message',
  (urls: string[]) => void Promise.all(urls.map(uploadAtLast)).then((statuses) => process.send?.(statuses)),
);
