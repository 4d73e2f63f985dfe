import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { FSDriver } from 'flydrive/drivers/fs';
import type { ByteRange, FileDriver, StreamOptions } from './driver.ts';
import { empty } from './empty.ts';

/** Keeps files below a folder of this machine. */
export class FolderDriver extends FSDriver implements FileDriver {
  private readonly folder: string;

  constructor(folder: string) {
    super({ location: folder, visibility: 'private' });
    this.folder = folder;
  }

  /** Unlike flydrive's own, it settles only once the file is closed, also when the content fails. */
  override async putStream(
    name: string,
    content: Readable,
    { isGivenAway = false }: StreamOptions = {},
  ): Promise<void> {
    const path = join(this.folder, name);
    await mkdir(dirname(path), { recursive: true });
    const file = await open(path, 'w');
    try {
      for await (const given of content) {
        const piece: unknown = given;
        if (typeof piece !== 'string' && !(piece instanceof Uint8Array)) throw new TypeError('A file is of bytes.');
        await file.writeFile(piece);
        if (isGivenAway && typeof piece !== 'string') empty(piece);
      }
    } finally {
      await file.close();
    }
  }

  override async getStream(name: string): Promise<Readable> {
    return (await open(join(this.folder, name))).createReadStream();
  }

  override async listAll(prefix: string, options?: { recursive?: boolean }) {
    await mkdir(join(this.folder, prefix), { recursive: true });
    return super.listAll(prefix, options);
  }

  async getRange(name: string, { first, last }: ByteRange): Promise<Readable> {
    return (await open(join(this.folder, name))).createReadStream({ start: first, end: last });
  }
}
