import type { JsonObject } from '../../json.ts';
import { canHandOver, tellAbsence } from '../absence.ts';
import type { ReplyPart, Runtime, Turn } from '../runtime.ts';
import { unlessAborted } from '../unless-aborted.ts';
import { type Clock, paced, realClock } from './clock.ts';
import { wishesForHuman } from './human-wish.ts';
import { cite, type Found, type FoundPassage, type KeepUnanswered, type KnowledgeSearch, summarize } from './port.ts';

const defaultWordsPerSecond = 40;

const parametersSchema: JsonObject = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Parameters of the knowledge runtime',
  description: 'How an agent answers that looks questions up in its corpus.',
  type: 'object',
  properties: {
    wordsPerSecond: {
      title: 'Words per second',
      description: 'How fast the answer is typed. 0 is as fast as possible.',
      type: 'number',
      minimum: 0,
      default: defaultWordsPerSecond,
    },
  },
  additionalProperties: false,
};

export interface KnowledgeRuntimeOptions {
  search: KnowledgeSearch;
  keepUnanswered: KeepUnanswered;
  clock?: Clock;
}

/**
 * Answers from a corpus of articles and names its sources. Hands over to a human who is wished for, and says so when it does
 * not know. Needs no language model.
 */
export function knowledgeRuntime({ search, keepUnanswered, clock = realClock }: KnowledgeRuntimeOptions): Runtime {
  async function* reply(turn: Turn, signal: AbortSignal): AsyncGenerator<ReplyPart> {
    signal.throwIfAborted();
    const question = turn.history.findLast((message) => message.role === 'USER');
    if (question && wishesForHuman(question.text)) {
      yield* say(turn, signal, { text: handingOver(turn), sources: [] });
      if (canHandOver(turn.absence)) {
        yield { type: 'handoff-request', reason: question.text.slice(0, 1000).toWellFormed() };
      }
    } else {
      yield* say(turn, signal, yield* answer(turn, signal));
    }
    yield { type: 'finish' };
  }

  /** Looks the question up, and tells of it. */
  async function* answer(turn: Turn, signal: AbortSignal): AsyncGenerator<ReplyPart, Answer> {
    const { corpusId } = turn;
    const question = turn.history.findLast((message) => message.role === 'USER');
    if (!question) return { text: greeting(turn), sources: [] };
    if (corpusId === null) return { text: isGreeting(question.text) ? greeting(turn) : unknown(turn), sources: [] };
    const { text: query, queryMetadata } = question;
    const callId = 'call_1';
    // The arguments are public and the query metadata are not.
    yield { type: 'tool-call', callId, name: 'queryKnowledgeBase', args: { query } };
    signal.throwIfAborted();
    const found = await unlessAborted(search({ corpusId, query, queryMetadata, limit: 5 }, signal), signal);
    yield { type: 'tool-result', callId, response: { passages: found.passages.map(summarize) }, failed: false };
    const [best] = found.passages;
    if (best) return { text: best.text, sources: [best] };
    if (isGreeting(query)) return { text: greeting(turn), sources: [] };
    await unlessAborted(keepUnanswered({ corpusId, text: query, messageId: question.id }), signal);
    return { text: decline(turn, found), sources: [] };
  }

  async function* say(turn: Turn, signal: AbortSignal, { text, sources }: Answer): AsyncGenerator<ReplyPart> {
    yield { type: 'text-start' };
    for await (const word of paced(words(text), wordsPerSecond(turn), clock, signal)) {
      yield { type: 'text-delta', text: word };
    }
    signal.throwIfAborted();
    yield { type: 'text-end', metadata: { citations: sources.map(cite) } };
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

const handsOver =
  'I am handing this conversation over to a person. They can read everything that has been written here and will answer in ' +
  'this conversation. Until then I stay silent, and you can go on writing: nothing gets lost.';

/** What is said to a wish for a human. */
function handingOver({ absence }: Turn): string {
  if (absence === null) return handsOver;
  return canHandOver(absence) ? `${handsOver}\n\n${tellAbsence(absence)}` : tellAbsence(absence);
}

const knowsNot = 'I do not know that: I found nothing about it in my knowledge base, and I would rather not guess.';

/** Says that nothing was found, and what else there is to do. */
function unknown({ absence }: Turn): string {
  if (!canHandOver(absence)) return `${knowsNot} You could put the question in other words.`;
  const invitation = `${knowsNot} You could put the question in other words, or say that you want to speak to a person.`;
  return absence === null ? invitation : `${invitation} ${tellAbsence(absence)}`;
}

/** Says that nothing was found, and what is near. */
function decline(turn: Turn, { near }: Found): string {
  if (near.length === 0) return unknown(turn);
  return `${unknown(turn)}\n\nPerhaps this is near to what you mean: ${near.map(link).join(', ')}.`;
}

function isGreeting(text: string): boolean {
  return /^\W*(hi|hello|hey|good (morning|afternoon|evening|day))( there)?\W*$/i.test(text);
}

function greeting({ greeting: own, agentName }: Turn): string {
  return own || `Hello! I am ${agentName}. Ask me a question, and I will look up the answer for you.`;
}

function link({ title, url }: FoundPassage): string {
  return url === null
    ? `*${title}*`
    : `[${title.replace(/[[\]\\]/g, '\\$&')}](<${url.replace(/[<>]/g, encodeURIComponent)}>)`;
}

/** Splits a text into words that join to it exactly. Runs without spaces, as in Chinese, are split between code points. */
function words(text: string): string[] {
  return text.match(/\s*\S{1,24}|\s+/gu) ?? [];
}
