/**
 * How soon the text of a running reply is stored, and how soon readers read it. These times depend on each other: a reader
 * that reads before the text can be stored reads in vain.
 */

/** Text is stored when the oldest unstored text is this old, in milliseconds, or later if storing takes longer. */
export const STORE_MS = 150;

/** How often rows are read, at most, because of text that does not join the known text, in milliseconds. */
export const GAP_MS = 100;

/** Text published before a server listened is read again after this time, in milliseconds. It is stored by then. */
export const STORED_MS = 300;

/** How often the versions of followed conversations are compared with the database, regardless of hints, in milliseconds. */
export const POLL_MS = 3000;
