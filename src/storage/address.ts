/** Where an S3-compatible service keeps files, and how it is reached. */
export interface S3Address {
  /** `http://…` or `https://…`, without a path. */
  endpoint: string;
  region: string;
  bucket: string;
  /** Before each name, without slashes at its ends; empty: none. */
  prefix: string;
  accessKeyId: string;
  secretAccessKey: string;
}

/**
 * Reads `s3://key:secret@host[:port]/bucket[/prefix][?region=…&tls=off]`. Null if it is not of this form. What is special in a URL is
 * percent-encoded in the key and the secret.
 */
export function readS3Address(text: string): S3Address | null {
  if (!text.startsWith('s3://') || !URL.canParse(text)) return null;
  const { host, username, password, pathname, searchParams } = new URL(text);
  const [bucket = '', ...prefix] = pathname.split('/').filter((part) => part !== '');
  const tls = searchParams.get('tls') ?? 'on';
  const known = [...searchParams.keys()].every((name) => name === 'region' || name === 'tls');
  if (!known || (tls !== 'on' && tls !== 'off') || !/^[a-z0-9][a-z0-9.-]{1,62}$/.test(bucket)) return null;
  if (!prefix.every((part) => /^[\w.-]+$/.test(part)) || !host || !username || !password) return null;
  try {
    return {
      endpoint: `${tls === 'off' ? 'http' : 'https'}://${host}`,
      region: searchParams.get('region') ?? 'us-east-1',
      bucket,
      prefix: prefix.join('/'),
      accessKeyId: decodeURIComponent(username),
      secretAccessKey: decodeURIComponent(password),
    };
  } catch {
    return null;
  }
}
