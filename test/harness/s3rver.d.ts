declare module 's3rver' {
  import type { AddressInfo } from 'node:net';

  /** An S3 service for tests. Its key is S3RVER, with the secret S3RVER. */
  export default class S3rver {
    constructor(options: {
      address: string;
      port: number;
      directory: string;
      silent: boolean;
      configureBuckets: { name: string; configs: string[] }[];
    });
    run(): Promise<AddressInfo>;
    close(): Promise<void>;
  }
}
