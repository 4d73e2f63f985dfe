import type { Readable } from 'node:stream';
import { join, resolve } from 'node:path';
import { Disk } from 'flydrive';
import { FSDriver } from 'flydrive/drivers/fs';

/** Where files are kept. Names are paths of letters, digits, `-`, `_`, `.` and `/`. */
export class Storage {
  private readonly disk: Disk;

  constructor(disk: Disk) {
    this.disk = disk;
  }

  /** Stores what the stream gives, in constant memory, in place of what has this name. */
  async write(name: string, content: Readable): Promise<void> {
    await this.disk.putStream(name, content);
  }

  /** Throws if there is no such file. */
  read(name: string): Promise<Readable> {
    return this.disk.getStream(name);
  }

  /** Removes all files whose name begins with the folder. Harmless if there are none. */
  async removeFolder(folder: string): Promise<void> {
    await this.disk.deleteAll(folder);
  }
}

/** Keeps files in a folder below the one for all data. */
export function openStorage({ dataDir }: { dataDir: string }): Storage {
  return new Storage(new Disk(new FSDriver({ location: resolve(join(dataDir, 'files')), visibility: 'private' })));
}
