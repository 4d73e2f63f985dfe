import { Readable } from 'node:stream';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { S3Driver } from 'flydrive/drivers/s3';
import type { WriteOptions } from 'flydrive/types';
import type { S3Address } from './address.ts';
import type { ByteRange, FileDriver } from './driver.ts';

/** How long a connection may take, and how long it may be silent, in milliseconds. */
const CONNECT_MS = 5_000;
const SILENCE_MS = 30_000;
/** The most connections of one server to the service. */
const MAX_SOCKETS = 200;

const quiet = () => undefined;

/** Keeps files in a bucket of an S3-compatible service. */
export class BucketDriver extends S3Driver implements FileDriver {
  private readonly client: S3Client;
  private readonly bucket: string;

  constructor({ endpoint, region, bucket, accessKeyId, secretAccessKey }: S3Address) {
    const client = new S3Client({
      endpoint,
      region,
      credentials: { accessKeyId, secretAccessKey },
      forcePathStyle: true,
      maxAttempts: 2,
      // Otherwise it writes to the console; what fails is thrown.
      logger: { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet },
      // Not every service knows the newer checksums.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: {
        connectionTimeout: CONNECT_MS,
        socketTimeout: SILENCE_MS,
        httpAgent: { maxSockets: MAX_SOCKETS },
        httpsAgent: { maxSockets: MAX_SOCKETS },
      },
    });
    super({ client, bucket, supportsACL: false, visibility: 'private' });
    this.client = client;
    this.bucket = bucket;
  }

  /** In one request if its length is known, else in parts of 5 MiB, one after the other. Leaves nothing if the content fails. */
  override async putStream(name: string, content: Readable, options?: WriteOptions): Promise<void> {
    const object = { Bucket: this.bucket, Key: name, Body: content, ContentType: 'application/octet-stream' };
    const length = options?.contentLength;
    const abort = new AbortController();
    if (content.errored) throw content.errored;
    content.once('error', (error) => abort.abort(error));
    try {
      if (length === undefined) {
        await new Upload({ client: this.client, params: object, queueSize: 1, abortController: abort }).done();
      } else {
        const command = new PutObjectCommand({ ...object, ContentLength: length });
        await this.client.send(command, { abortSignal: abort.signal });
      }
    } catch (error) {
      content.destroy();
      throw abort.signal.aborted ? abort.signal.reason : error;
    }
  }

  async getRange(name: string, { first, last }: ByteRange): Promise<Readable> {
    const range = { Bucket: this.bucket, Key: name, Range: `bytes=${first}-${last}` };
    const { Body: body } = await this.client.send(new GetObjectCommand(range));
    if (!(body instanceof Readable)) throw new TypeError('The service answered without a body.');
    return body;
  }

  close(): void {
    this.client.destroy();
  }
}
