import { fileTypeFromBuffer } from 'file-type';
import { imageSize } from 'image-size';
import type { AttachmentType } from '../generated/prisma/enums.ts';
import type { Sniffed } from './model.ts';

/** How much of a file is looked at, in bytes: more than the headers of an image, with its metadata, take as a rule. */
export const SNIFFED_BYTES = 128 * 1024;

/** How much of a HEIF or AVIF is searched for its size, in bytes: that takes time with the square of it. */
const HEIF_BYTES = 16 * 1024;

/** The largest width or height that is told, in pixels. */
const MAX_PIXELS = 1_000_000;

/** What some program would take for a page, a script or a document, whatever it begins like. */
const markup =
  /<(?:!doctype|html|head|body|script|iframe|object|embed|svg|style|form|meta|link|\?php)[\s>/]|javascript:|%PDF-/i;

const categories: readonly (readonly [string, AttachmentType])[] = [
  ['image/', 'IMAGE'],
  ['video/', 'VIDEO'],
  ['audio/', 'AUDIO'],
];

/** What browsers show by themselves, and that cannot carry a script. Everything else is only saved. */
const shown: ReadonlySet<string> = new Set([
  'image/png',
  'image/apng',
  'image/jpeg',
  'image/gif',
  'image/webp',
  'image/avif',
  'video/mp4',
  'video/webm',
  'video/quicktime',
  'audio/mpeg',
  'audio/mp4',
  'audio/x-m4a',
  'audio/aac',
  'audio/ogg',
  'audio/wav',
  'audio/webm',
  'audio/flac',
]);

/** Whether browsers may show it in place. */
export const isShown = (contentType: string) => shown.has(contentType);

/**
 * What a file is, by its first bytes alone. What begins like an image, a film or a sound and holds markup too is neither. The size of
 * an image is read from its headers; nothing is decoded.
 */
export async function sniff(beginning: Uint8Array, wanted: AttachmentType | null): Promise<Sniffed> {
  const found = await fileTypeFromBuffer(beginning).catch(() => undefined);
  const text = Buffer.from(beginning.buffer, beginning.byteOffset, beginning.byteLength).toString('latin1');
  const nothing = { type: 'OTHER', width: null, height: null } as const;
  if (!found) return { ...nothing, contentType: isText(beginning) ? 'text/plain' : 'application/octet-stream' };
  const type = categories.find(([prefix]) => found.mime.startsWith(prefix))?.[1];
  if (!type) return { ...nothing, contentType: found.mime };
  if (markup.test(text)) return { ...nothing, contentType: 'application/octet-stream' };
  const isImage = type === 'IMAGE';
  return {
    type: isImage && wanted === 'STICKER' ? 'STICKER' : type,
    contentType: found.mime,
    ...(isImage
      ? sizeOf(isHeif(found.mime) ? beginning.subarray(0, HEIF_BYTES) : beginning)
      : { width: null, height: null }),
  };
}

const isHeif = (contentType: string) => /^image\/(?:avif|hei[cf])/.test(contentType);

function sizeOf(beginning: Uint8Array): { width: number | null; height: number | null } {
  try {
    const { width, height } = imageSize(beginning);
    const isSize = [width, height].every((side) => Number.isInteger(side) && side > 0 && side <= MAX_PIXELS);
    return isSize ? { width, height } : { width: null, height: null };
  } catch {
    return { width: null, height: null };
  }
}

/** Well-formed UTF-8, but for a character that is cut at the end, without control characters. */
function isText(bytes: Uint8Array): boolean {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: true });
    return !/[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]/.test(text);
  } catch {
    return false;
  }
}
