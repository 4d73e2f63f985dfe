import type { Readable } from 'node:stream';
import type { DriverContract } from 'flydrive/types';

/** Bytes of a file, the first and the last included, from 0. */
export interface ByteRange {
  first: number;
  last: number;
}

/** A driver of flydrive that can also read a part of a file. */
export interface FileDriver extends DriverContract {
  /** Rejects if there is no such file. */
  getRange(name: string, range: ByteRange): Promise<Readable>;
}
