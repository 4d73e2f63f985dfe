import type { Letter } from './letter.ts';

export interface LetterEnvelope {
  /** The envelope's sender (MAIL FROM), where the caller knows it; empty for a bounce's. Default: the header Return-Path. */
  sender?: string;
}

/**
 * Reads a letter as it came, headers and all. The caller bounds its length. It never throws for what the letter says: of a broken
 * one it gives what can be read, and says in `issues` what cannot.
 */
export async function readLetter(_raw: Uint8Array, _envelope: LetterEnvelope = {}): Promise<Letter> {
  return await Promise.resolve({
    messageId: null,
    inReplyTo: null,
    references: [],
    from: null,
    to: [],
    cc: [],
    replyTo: [],
    subject: '',
    date: null,
    text: '',
    newText: '',
    attachments: [],
    automatic: null,
    issues: [],
  });
}
