import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { StartupError } from '../errors.ts';
import { readS3Address } from './address.ts';
import type { ByteRange, Content, FileDriver } from './driver.ts';
import { FolderDriver } from './folder.ts';

/** Where files are kept. Names are paths of letters, digits, `-`, `_`, `.` and `/`. */
export class Storage {
  private readonly driver: FileDriver & { close?(): void };
  private readonly prefix: string;

  /** `prefix` stands before each name. */
  constructor(driver: FileDriver & { close?(): void }, prefix = '') {
    this.driver = driver;
    this.prefix = prefix === '' ? '' : `${prefix}/`;
  }

  /**
   * Stores what the stream gives, in constant memory, in place of what has this name. If it fails there may be a part of the file.
   */
  async write(name: string, content: Readable, { bytes, ...known }: Content = {}): Promise<void> {
    const length = bytes === undefined ? {} : { contentLength: bytes };
    await this.driver.putStream(this.prefix + name, content, { ...length, ...known });
  }

  /** All of a file, or a part of it. Rejects if there is no such file. */
  read(name: string, range?: ByteRange): Promise<Readable> {
    return range ? this.driver.getRange(this.prefix + name, range) : this.driver.getStream(this.prefix + name);
  }

  exists(name: string): Promise<boolean> {
    return this.driver.exists(this.prefix + name);
  }

  /** Harmless if there is none. */
  async remove(name: string): Promise<void> {
    await this.driver.delete(this.prefix + name);
  }

  /** Removes all files whose name begins with the folder. Harmless if there are none. */
  async removeFolder(folder: string): Promise<void> {
    await this.driver.deleteAll(this.prefix + folder);
  }

  /** The names of the files right in a folder, without the folder. */
  async list(folder: string): Promise<string[]> {
    const names: string[] = [];
    let paginationToken: string | undefined;
    do {
      const page = await this.driver.listAll(`${this.prefix}${folder}/`, paginationToken ? { paginationToken } : {});
      for (const object of page.objects) if (object.isFile) names.push(object.name);
      ({ paginationToken } = page);
    } while (paginationToken);
    return names;
  }

  /** Closes its connections. */
  close(): void {
    this.driver.close?.();
  }
}

/** Keeps files in the bucket that the settings name, or else in a folder below the one for all data. */
export async function openStorage({ dataDir, storageUrl }: { dataDir: string; storageUrl?: string | undefined }) {
  if (storageUrl === undefined) return new Storage(new FolderDriver(resolve(join(dataDir, 'files'))));
  const address = readS3Address(storageUrl);
  if (!address) throw new StartupError('STORAGE_URL is not well-formed.');
  // Loaded only when used: it is large.
  const { BucketDriver } = await import('./s3.ts');
  return new Storage(new BucketDriver(address), address.prefix);
}
