import type { Readable } from 'node:stream';
import type { DriverContract, WriteOptions } from 'flydrive/types';

/** Bytes of a file, the first and the last included, from 0. */
export interface ByteRange {
  first: number;
  last: number;
}

/** What is known of a stream that is to be stored. */
export interface Content {
  /** How many bytes it gives. */
  bytes?: number | undefined;
  /** Nobody else uses what it gives: its memory may be freed as soon as it is stored. */
  isGivenAway?: boolean;
}

export type StreamOptions = WriteOptions & Pick<Content, 'isGivenAway'>;

/** A driver of flydrive that can also read a part of a file. */
export interface FileDriver extends DriverContract {
  putStream(name: string, content: Readable, options?: StreamOptions): Promise<void>;
  /** Rejects if there is no such file. */
  getRange(name: string, range: ByteRange): Promise<Readable>;
}
