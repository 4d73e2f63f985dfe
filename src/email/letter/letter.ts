/** A name and an address, as a header of a letter has them. */
export interface LetterAddress {
  /** As written, without its angle brackets: `maria@example.com`. At most 320 characters. */
  address: string;
  /** The name beside it; null when there is none. At most 200 characters. */
  name: string | null;
}

/** A file that came with a letter. */
export interface LetterFile {
  /** A bare name, without folders or control characters, never empty. At most 200 characters. */
  filename: string;
  /** As the letter claims it, in lower case, such as `image/png`. It may be wrong: look into the bytes. */
  contentType: string;
  bytes: Uint8Array;
  /** Whether the text shows it, as a logo in a signature is, rather than it being sent for itself. */
  inline: boolean;
  /** The name by which the HTML shows it, without angle brackets. */
  contentId: string | null;
}

/**
 * Why nobody waits for an answer to a letter: a machine answered (out of office, "we have received your letter"), a letter could
 * not be delivered, or it went to a list or to many.
 */
export type AutomaticLetter = 'AUTO_REPLY' | 'BOUNCE' | 'LIST';

/** What of a letter could not be read, or was left out at a limit. */
export type LetterIssueCode =
  | 'BROKEN'
  | 'CHARACTERS_LOST'
  | 'ENCRYPTED'
  | 'NOT_VERIFIED'
  | 'TEXT_CUT'
  | 'TOO_DEEP'
  | 'TOO_MANY_FILES'
  | 'TOO_MANY_HEADERS'
  | 'TOO_MANY_PARTS';

export interface LetterIssue {
  code: LetterIssueCode;
  /** A sentence for people: what is missing, and why. At most 1,000 characters. */
  text: string;
}

/** A letter that came in, read. What headers say can be forged: it is no proof of anything. */
export interface Letter {
  /** Message ids are without their angle brackets and at most 998 characters. */
  messageId: string | null;
  inReplyTo: string | null;
  /** The letters before this one in its thread, oldest first. At most 100, the newest. */
  references: string[];
  from: LetterAddress | null;
  /** At most 100 of each of the three. */
  to: LetterAddress[];
  cc: LetterAddress[];
  replyTo: LetterAddress[];
  /** One line of at most 998 characters; empty when there is none. */
  subject: string;
  /** When it was sent, as its sender's clock says. */
  date: Date | null;
  /** The whole text, with HTML made text. Lines end in LF. At most 200,000 characters. */
  text: string;
  /**
   * The part that this person newly wrote: without quotes, the lines that introduce them, and signatures. Empty when the letter
   * has nothing new. What was forwarded is kept.
   */
  newText: string;
  /** At most 20; an issue names the others. */
  attachments: LetterFile[];
  automatic: AutomaticLetter | null;
  issues: LetterIssue[];
}
