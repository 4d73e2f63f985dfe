import type { Storage } from '../storage/storage.ts';

/** How long it may take to read a file, in milliseconds. */
const READ_MS = 10_000;

/** A file of so many bytes. Throws if it has another size than it should, or takes too long. */
export async function readWhole(storage: Pick<Storage, 'read'>, name: string, bytes: number): Promise<Uint8Array> {
  const content = await storage.read(name);
  const timer = setTimeout(() => content.destroy(new Error('The file was read too slowly.')), READ_MS);
  try {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of content as AsyncIterable<Buffer>) {
      length += chunk.byteLength;
      if (length > bytes) break;
      chunks.push(chunk);
    }
    if (length !== bytes) throw new Error('The file has another size than it should.');
    return Buffer.concat(chunks);
  } finally {
    clearTimeout(timer);
    content.destroy();
  }
}
