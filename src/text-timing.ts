/**
 * How soon the text of a running reply is stored, and how soon readers look for it. Each time depends on the others: a reader
 * that looked before the text can be stored would look in vain, and too often.
 */

/** Storing begins when the oldest text that is not stored is this old, in milliseconds, or later when storing takes longer. */
export const STORE_MS = 150;

/** Text that does not join what is known has rows read at most this often, in milliseconds. */
export const GAP_MS = 100;

/** Text told before a server listened is looked for once more after this time, in milliseconds: it is stored by then. */
export const STORED_MS = 300;

/** How often the versions of followed conversations are compared, in milliseconds, whatever hints say. */
export const POLL_MS = 3000;
