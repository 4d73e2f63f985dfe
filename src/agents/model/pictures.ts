import type { LanguageModelV3FilePart } from '@ai-sdk/provider';
import type { Logger } from '../../logger.ts';
import type { TurnAttachment, TurnMessage } from '../runtime.ts';

/** How many pictures a model is shown, and how many bytes in all. */
const MAX_PICTURES = 10;
const MAX_BYTES = 8_000_000;

/** The pictures that a model is shown, of the messages that have some. */
export type Pictures = ReadonlyMap<TurnMessage, readonly LanguageModelV3FilePart[]>;

/** Reads those of the last messages of the user and the agent. One that cannot be read is left out. */
export async function readPictures(history: readonly TurnMessage[], logger: Pick<Logger, 'warn'>): Promise<Pictures> {
  const pictures = new Map<TurnMessage, LanguageModelV3FilePart[]>();
  let count = 0;
  let bytes = 0;
  for (const message of history.toReversed()) {
    if (message.role !== 'USER') continue;
    for (const { read, contentType: mediaType, ...attachment } of message.attachments ?? []) {
      if (!read || count >= MAX_PICTURES || bytes + attachment.bytes > MAX_BYTES) continue;
      try {
        const data = await read();
        pictures.set(message, [...(pictures.get(message) ?? []), { type: 'file', mediaType, data }]);
        count += 1;
        bytes += attachment.bytes;
      } catch (error) {
        logger.warn({ err: error }, 'could not show a picture to a model');
      }
    }
  }
  return pictures;
}

/** What the model is told of the files of a message, after its text. The names are quoted: people chose them. */
export function withFiles(text: string, attachments: readonly TurnAttachment[] = []): string {
  const files = attachments.map(
    ({ filename, contentType, bytes }) =>
      `[Attached file: ${JSON.stringify(filename)}, ${contentType}, ${bytes} bytes]`,
  );
  return [text, ...files].filter((part) => part.trim() !== '').join('\n');
}
