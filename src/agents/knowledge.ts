import { setImmediate as immediate, setTimeout as timeout } from 'node:timers/promises';
import type { JsonObject } from '../json.ts';
import type { ReplyPart, Runtime, Turn } from './runtime.ts';

/** A passage of a corpus, as returned by the search. */
export interface FoundPassage {
  articleId: string;
  title: string;
  /** Empty before the first heading. */
  heading: string;
  text: string;
  url: string | null;
  /** From 0 to 1. */
  score: number;
}

/** Looks up a question in a corpus. Returns the best passage first, and none if the corpus has no answer. */
export type KnowledgeSearch = (
  request: { corpusId: string; query: string; queryMetadata: JsonObject | null; limit: number },
  signal: AbortSignal,
) => Promise<FoundPassage[]>;

/** Time, in milliseconds from any origin. */
export interface Clock {
  now(): number;
  /** Rejects as soon as the signal aborts, leaving no timer behind. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<unknown>;
}

const realClock: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds, signal) => timeout(milliseconds, undefined, { signal }),
};

const defaultWordsPerSecond = 40;

const parametersSchema: JsonObject = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Parameters of the knowledge runtime',
  description: 'Parameters of an agent that answers from its corpus.',
  type: 'object',
  properties: {
    wordsPerSecond: {
      title: 'Words per second',
      description: 'How fast the answer is written. 0 is as fast as possible.',
      type: 'number',
      minimum: 0,
      default: defaultWordsPerSecond,
    },
  },
  additionalProperties: false,
};

/** Answers from a corpus of articles and names its sources. Needs no language model. Says so if it does not know. */
export function knowledgeRuntime({ search, clock = realClock }: { search: KnowledgeSearch; clock?: Clock }): Runtime {
  async function* reply(turn: Turn, signal: AbortSignal): AsyncGenerator<ReplyPart> {
    signal.throwIfAborted();
    const question = turn.history.findLast((message) => message.role === 'USER');
    let passages: FoundPassage[] = [];
    if (question && turn.corpusId !== null) {
      const { text: query, queryMetadata } = question;
      const callId = 'call_1';
      // End users may see the arguments, but never the query metadata.
      yield { type: 'tool-call', callId, name: 'queryKnowledgeBase', args: { query } };
      signal.throwIfAborted();
      const request = { corpusId: turn.corpusId, query, queryMetadata, limit: 5 };
      passages = await unlessAborted(search(request, signal), signal);
      yield { type: 'tool-result', callId, response: { passages: passages.map(summarize) }, failed: false };
    }
    const { text, sources } = compose(turn, question?.text, passages);
    yield { type: 'text-start' };
    for await (const word of paced(words(text), wordsPerSecond(turn), clock, signal)) {
      yield { type: 'text-delta', text: word };
    }
    signal.throwIfAborted();
    yield { type: 'text-end', metadata: { citations: sources.map(cite) } };
    yield { type: 'finish' };
  }
  return { name: 'knowledge', parametersSchema, reply };
}

function wordsPerSecond({ parameters }: Turn): number {
  const value = parameters.wordsPerSecond;
  return typeof value === 'number' && value >= 0 ? value : defaultWordsPerSecond;
}

interface Answer {
  text: string;
  sources: FoundPassage[];
}

function compose(turn: Turn, question: string | undefined, passages: FoundPassage[]): Answer {
  const [best] = passages;
  if (!best) return { text: question === undefined || isGreeting(question) ? greeting(turn) : unknown, sources: [] };
  const sources = [best];
  let answer = `**${label(best)}**\n\n${best.text}`;
  // Another passage of the same article is added if it fits about equally well.
  const more = passages.find((other) => other !== best && other.articleId === best.articleId);
  if (more && more.score > best.score - 0.05) {
    sources.push(more);
    answer += `\n\n**${more.heading || more.title}**\n\n${more.text}`;
  }
  const others = passages.filter((passage) => passage.articleId !== best.articleId && passage.score > best.score * 0.7);
  const links = new Set(others.map(({ title, url }) => link(title, url)));
  return { text: links.size > 0 ? `${answer}\n\nSee also: ${[...links].join(', ')}` : answer, sources };
}

const unknown =
  'I do not know that: I found nothing about it in my knowledge base, and I would rather not guess. ' +
  'You could put the question in other words, or a human can take over this conversation if you wish.';

function isGreeting(text: string): boolean {
  return /^\W*(hi|hello|hey|good (morning|afternoon|evening|day))( there)?\W*$/i.test(text);
}

function greeting({ greeting: own, agentName }: Turn): string {
  return own || `Hello! I am ${agentName}. Ask me a question, and I will look up the answer for you.`;
}

function label({ title, heading }: FoundPassage): string {
  return heading === '' ? title : `${title} › ${heading}`;
}

function link(title: string, url: string | null): string {
  return url === null
    ? `*${title}*`
    : `[${title.replace(/[[\]\\]/g, '\\$&')}](<${url.replace(/[<>]/g, encodeURIComponent)}>)`;
}

/** A passage in the result of a look-up, shortened. */
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

/** Splits a text into words whose concatenation is the text. Text without spaces, as in Chinese, is split between code points. */
function words(text: string): string[] {
  return text.match(/\s*\S{1,24}|\s+/gu) ?? [];
}

/** Yields each item at its time, counted from the first, so that delays do not add up. Yields to other work when late. */
async function* paced<T>(items: T[], perSecond: number, clock: Clock, signal: AbortSignal): AsyncGenerator<T> {
  const start = clock.now();
  for (const [index, item] of items.entries()) {
    const due = perSecond > 0 ? start + (index * 1000) / perSecond : start;
    let early = due - clock.now();
    if (early <= 0 && index % 32 === 31) await immediate();
    // A loop, because the wait may exceed the longest timer, and a timer may fire too early.
    for (; early > 0; early = due - clock.now()) await pause(Math.min(early, 60_000), clock, signal);
    signal.throwIfAborted();
    yield item;
  }
}

async function pause(milliseconds: number, clock: Clock, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(milliseconds, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** Settles like the promise, or rejects with the signal's reason if it aborts first. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort = () => {};
  const aborted = new Promise<void>((resolve) => (abort = resolve));
  signal.addEventListener('abort', abort);
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
  signal.throwIfAborted();
  return promise;
}
