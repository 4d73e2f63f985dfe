import S3rver from 's3rver';
import { createTemporaryFolder } from './temporary-folder.ts';

export interface Bucket {
  /** Its `STORAGE_URL`. */
  url: string;
  close(): Promise<void>;
}

/** Starts a service that speaks S3, with a bucket. It refuses unknown keys, and checks no signatures of the newer kind. */
export async function startBucket(): Promise<Bucket> {
  const s3 = new S3rver({
    address: '127.0.0.1',
    port: 0,
    directory: createTemporaryFolder(),
    silent: true,
    configureBuckets: [{ name: 'files', configs: [] }],
  });
  const { port } = await s3.run();
  return { url: `s3://S3RVER:S3RVER@127.0.0.1:${port}/files/parley?tls=off`, close: () => s3.close() };
}
