import { createWriteStream } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FSDriver } from 'flydrive/drivers/fs';
import type { ByteRange, FileDriver } from './driver.ts';

/** Keeps files below a folder of this machine. */
export class FolderDriver extends FSDriver implements FileDriver {
  private readonly folder: string;

  constructor(folder: string) {
    super({ location: folder, visibility: 'private' });
    this.folder = folder;
  }

  /** Unlike flydrive's own, it settles only once the file is closed, also when the content fails. */
  override async putStream(name: string, content: Readable): Promise<void> {
    const path = join(this.folder, name);
    await mkdir(dirname(path), { recursive: true });
    await pipeline(content, createWriteStream(path));
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
