import type { JsonObject } from '../../json.ts';

/** A passage of a corpus, as the search returns it. */
export interface FoundPassage {
  articleId: string;
  title: string;
  /** Empty for what stands before the first heading. */
  heading: string;
  text: string;
  url: string | null;
  /** From 0 to 1. */
  score: number;
}

/** What a search comes to. */
export interface Found {
  /** Those that answer, best first; none when the corpus does not know. */
  passages: FoundPassage[];
  /** When it does not know: up to two passages of different articles that are near the question. */
  near: FoundPassage[];
}

/** Looks a question up in a corpus. Throws `KnowledgeBusyError` when too many others are being looked up. */
export type KnowledgeSearch = (
  request: { corpusId: string; query: string; queryMetadata: JsonObject | null; limit: number },
  signal: AbortSignal,
) => Promise<Found>;

/** Keeps a question that a corpus has no answer to, for its operators, as long as the message that asks it is there. */
export type KeepUnanswered = (question: { corpusId: string; text: string; messageId: string }) => Promise<void>;

/** A passage in the result of a look-up, abridged. */
export function summarize({ title, heading, text, url }: FoundPassage): JsonObject {
  return { title, heading, excerpt: excerpt(text), url };
}

/** A passage as a source. */
export function cite({ articleId, title, heading, url }: FoundPassage): JsonObject {
  return { articleId, title, heading, url };
}

/** The first 200 characters or so, ending with a whole word. */
function excerpt(text: string): string {
  const plain = text.replace(/\s+/g, ' ');
  const [start = ''] = /^.{0,200}(?!\S)|^.{0,200}/u.exec(plain) ?? [];
  return start.length < plain.length ? `${start.trimEnd()}…` : plain;
}
