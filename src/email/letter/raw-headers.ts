const ESCAPE = 0x1b;
/** What only ISO-2022-JP has: the switch to another set of characters. */
const ISO_2022_JP = /\x1b[$(][@BJI]/;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The charset that a letter declares first; that of Western Europe when it declares none that is known. */
export function declaredCharset(raw: Buffer): string {
  const beginning = raw.toString('latin1', 0, 64 * 1024);
  for (const [, label = ''] of beginning.matchAll(
    /charset\s{0,5}=\s{0,5}"?([\w.:-]{2,40})|=\?([\w.:-]{2,40})\?[BQ]\?/gi,
  )) {
    if (decoderOf(label) && !/^(?:utf-?8|us-ascii)$/i.test(label)) return label;
  }
  return 'windows-1252';
}

function decoderOf(label: string): TextDecoder | null {
  try {
    return new TextDecoder(label);
  } catch {
    return null;
  }
}

const japanese = new TextDecoder('iso-2022-jp');

/**
 * Headers in UTF-8. Some programs write them as bytes of another charset and do not say which: a line that is no UTF-8 is read as
 * `charset`. Returns the same buffer when nothing is to be done.
 */
export function utf8Headers(head: Buffer, charset: string): Buffer {
  if (!head.some((byte) => byte >= 0x80 || byte === ESCAPE)) return head;
  const decoder = new TextDecoder(charset);
  return Buffer.from(
    head
      .toString('latin1')
      .split('\n')
      .map((line) => readable(Buffer.from(line, 'latin1'), decoder))
      .join('\n'),
  );
}

function readable(line: Buffer, decoder: TextDecoder): string {
  if (ISO_2022_JP.test(line.toString('latin1'))) return japanese.decode(line);
  try {
    return strictUtf8.decode(line);
  } catch {
    return decoder.decode(line);
  }
}
