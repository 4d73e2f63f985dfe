import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../src/agents/knowledge/clock.ts';
import type { FoundPassage, KnowledgeSearch } from '../src/agents/knowledge/port.ts';
import { knowledgeRuntime } from '../src/agents/knowledge/runtime.ts';
import { partsOf, type ReplyPart, type Turn, type TurnMessage } from '../src/agents/runtime.ts';

const stop: FoundPassage = {
  articleId: 'a1',
  title: 'Stop a reply',
  heading: 'Exactly this one',
  text: 'Call `stopReply`.\n\n- It keeps the text 👩‍👩‍👧 so far.\n- 重複停止沒有害處。',
  url: 'https://example.org/stop',
  score: 0.9,
};
const end: FoundPassage = {
  articleId: 'a2',
  title: 'End [it]',
  heading: '',
  text: 'Bye.',
  url: 'https://example.org/end',
  score: 0.8,
};
const aside: FoundPassage = { ...end, articleId: 'a3', title: 'Aside', score: 0.4 };

function turn(changes: Partial<Turn> = {}): Turn {
  return {
    organizationId: 'organization',
    agentName: 'Ada',
    systemPrompt: null,
    greeting: null,
    state: { playbook: null, phase: null, systemMessage: null, context: null },
    playbook: null,
    tools: [],
    history: [message('USER', 'How do I stop it?')],
    parameters: { wordsPerSecond: 0 },
    corpusId: 'corpus',
    absence: null,
    ...changes,
  };
}

function message(
  role: TurnMessage['role'],
  text: string,
  queryMetadata: TurnMessage['queryMetadata'] = null,
): TurnMessage {
  return { id: 'question', role, text, metadata: {}, queryMetadata };
}

const never: AbortSignal = new AbortController().signal;

/** The questions that were kept because nothing answered them. */
const kept: unknown[] = [];
const keepUnanswered = async (question: unknown) => void kept.push(question);

/** A search that finds these. */
const finds =
  (...passages: FoundPassage[]): KnowledgeSearch =>
  async () => ({ passages, near: [] });
const findsNothing = finds();

async function parts(search: KnowledgeSearch, given = turn(), signal = never, clock?: Clock): Promise<ReplyPart[]> {
  const runtime = knowledgeRuntime({ search, keepUnanswered, ...(clock && { clock }) });
  const produced: ReplyPart[] = [];
  for await (const part of partsOf(runtime.reply(given, signal))) produced.push(part);
  return produced;
}

function textOf(produced: ReplyPart[]): string {
  return produced.map((part) => (part.type === 'text-delta' ? part.text : '')).join('');
}

/** A clock that moves only when someone sleeps, or is told to. */
function manualClock() {
  let time = 1_000_000;
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => time,
    advance: (milliseconds: number) => (time += milliseconds),
    sleep: async (milliseconds: number) => {
      sleeps.push(milliseconds);
      time += milliseconds;
    },
  };
}

describe('an answer of the knowledge runtime', () => {
  it('is a look-up, its result, a text with its sources, and the end', async () => {
    const produced = await parts(finds(stop, end, aside));
    expect(produced.filter((part) => part.type !== 'text-delta')).toEqual([
      { type: 'tool-call', callId: 'call_1', name: 'queryKnowledgeBase', args: { query: 'How do I stop it?' } },
      {
        type: 'tool-result',
        callId: 'call_1',
        failed: false,
        response: {
          passages: [stop, end, aside].map(({ title, heading, text, url }) => ({
            title,
            heading,
            url,
            excerpt: text.replace(/\s+/g, ' '),
          })),
        },
      },
      { type: 'text-start' },
      {
        type: 'text-end',
        metadata: { citations: [{ articleId: 'a1', title: stop.title, heading: stop.heading, url: stop.url }] },
      },
      { type: 'finish' },
    ]);
    // The passage that answers, and nothing around it.
    expect(textOf(produced)).toBe(stop.text);
  });

  it('comes in words that join to it exactly and never cut a character', async () => {
    const text = ` \n word  ${'long'.repeat(40)}\t👍🏽 x${'😀'.repeat(60)}\n\n漢字${'字'.repeat(100)} end \n`;
    const produced = await parts(finds({ ...stop, text }));
    expect(textOf(produced)).toBe(text);
    const deltas = produced.flatMap((part) => (part.type === 'text-delta' ? [part.text] : []));
    expect(deltas.every((delta) => delta.isWellFormed() && delta !== '')).toBe(true);
    expect(deltas[0]).toBe(' \n word');
  });

  it('abridges long passages in the result of the look-up', async () => {
    const produced = await parts(finds({ ...stop, text: 'word '.repeat(100) }));
    const result = produced.find((part) => part.type === 'tool-result');
    expect(JSON.stringify(result)).toMatch(/"excerpt":"(word ){39}word…"/);
  });

  it('answers the latest message of the user, and keeps the query metadata out of what is public', async () => {
    const asked: unknown[] = [];
    const history = [
      message('USER', 'first'),
      message('AGENT', 'yes?'),
      message('USER', 'second', { team: 'secret' }),
      message('CONTROL', 'hidden'),
    ];
    const produced = await parts(async (request) => {
      asked.push(request);
      return { passages: [stop], near: [] };
    }, turn({ history }));
    expect(asked).toEqual([{ corpusId: 'corpus', query: 'second', queryMetadata: { team: 'secret' }, limit: 5 }]);
    expect(JSON.stringify(produced)).not.toContain('secret');
  });

  it('says so when it does not know, and keeps the question for operators', async () => {
    const produced = await parts(findsNothing);
    expect(textOf(produced)).toMatch(/do not know.*say that you want to speak to a person\.$/s);
    expect(produced.at(-2)).toEqual({ type: 'text-end', metadata: { citations: [] } });
    expect(kept.splice(0)).toEqual([{ corpusId: 'corpus', messageId: 'question', text: 'How do I stop it?' }]);
    const withoutCorpus = await parts(() => Promise.reject(new Error('asked')), turn({ corpusId: null }));
    expect(textOf(withoutCorpus)).toBe(textOf(produced));
    expect(withoutCorpus[0]).toEqual({ type: 'text-start' });
    expect(kept).toEqual([]);
  });

  it('names the nearest articles when it does not know, without answering from them', async () => {
    const produced = await parts(async () => ({ passages: [], near: [{ ...stop, url: null }, end] }));
    const named = 'Perhaps this is near to what you mean: *Stop a reply*, [End \\[it\\]](<https://example.org/end>).';
    expect(textOf(produced)).toContain(named);
    expect(produced.at(-2)).toEqual({ type: 'text-end', metadata: { citations: [] } });
    kept.length = 0;
  });

  it('to a wish for a human is a handoff, after a sentence that says what happens next', async () => {
    const wish = 'This is useless, get me a person!';
    const asked = () => Promise.reject(new Error('asked'));
    const produced = await parts(asked, turn({ history: [message('USER', wish)] }));
    expect(textOf(produced)).toMatch(/^I am handing this conversation over to a person\..*Until then I stay silent/);
    expect(produced.slice(-2)).toEqual([{ type: 'handoff-request', reason: wish }, { type: 'finish' }]);
    expect(kept).toEqual([]);
  });

  it('is a greeting when the agent speaks first, or is greeted', async () => {
    const asked = () => Promise.reject(new Error('asked'));
    expect(textOf(await parts(asked, turn({ history: [], greeting: 'Welcome to Acme.' })))).toBe('Welcome to Acme.');
    const history = [message('CONTROL', 'A new visitor.')];
    const first = await parts(asked, turn({ history }));
    expect(textOf(first)).toMatch(/^Hello! I am Ada\./);
    expect(first.map((part) => part.type)).not.toContain('tool-call');
    const greeted = await parts(findsNothing, turn({ history: [message('USER', 'Good morning!')] }));
    expect(textOf(greeted)).toBe(textOf(first));
    expect(kept).toEqual([]);
  });
});

describe('the pace of an answer', () => {
  const tenWords = { ...stop, text: 'a b c d e f g h i j' };

  it('is kept by the clock, so that delays do not add up', async () => {
    const clock = manualClock();
    const start = clock.now();
    const at: number[] = [];
    const runtime = knowledgeRuntime({ search: finds(tenWords), keepUnanswered, clock });
    for await (const part of partsOf(runtime.reply(turn({ parameters: { wordsPerSecond: 10 } }), never))) {
      if (part.type !== 'text-delta') continue;
      at.push(clock.now() - start);
      // A slow reader, and once one that loses three words' time.
      clock.advance(at.length === 4 ? 350 : 30);
    }
    expect(at).toEqual([0, 100, 200, 300, 650, 680, 710, 740, 800, 900]);
  });

  it('is 40 words per second unless the parameters say otherwise', async () => {
    const clock = manualClock();
    await parts(finds(tenWords), turn({ parameters: {} }), never, clock);
    expect(clock.sleeps).toEqual(Array.from({ length: 9 }, () => 25));
  });

  it('may be slower than a timer can be long', async () => {
    const clock = manualClock();
    await parts(finds({ ...tenWords, text: 'a b' }), turn({ parameters: { wordsPerSecond: 2e-7 } }), never, clock);
    expect(Math.max(...clock.sleeps)).toBeLessThan(2 ** 31);
    expect(clock.sleeps.reduce((sum, sleep) => sum + sleep, 0)).toBeCloseTo(5e9);
  });

  it('is as fast as possible at 0, and lets others run meanwhile', async () => {
    const clock = manualClock();
    let turns = 0;
    let running = true;
    const count = () => {
      turns += 1;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    const text = 'word '.repeat(20_000);
    const produced = await parts(finds({ ...stop, text }), turn(), never, clock);
    running = false;
    expect(textOf(produced)).toContain(text);
    expect(clock.sleeps).toEqual([]);
    expect(turns).toBeGreaterThan(20_000 / 50);
  });
});

describe('an abort', () => {
  const reason = new Error('stopped');

  it('ends a pause between words at once, with its reason', async () => {
    const controller = new AbortController();
    const produced: ReplyPart[] = [];
    const runtime = knowledgeRuntime({ search: finds(stop), keepUnanswered });
    let abortedAt = 0;
    const run = (async () => {
      for await (const part of partsOf(
        runtime.reply(turn({ parameters: { wordsPerSecond: 0.01 } }), controller.signal),
      )) {
        produced.push(part);
        if (part.type !== 'text-delta') continue;
        setTimeout(() => {
          abortedAt = performance.now();
          controller.abort(reason);
        }, 5);
      }
    })();
    await expect(run).rejects.toBe(reason);
    expect(performance.now() - abortedAt).toBeLessThan(100);
    expect(produced.at(-1)).toEqual({ type: 'text-delta', text: 'Call' });
  });

  it('is noticed at full speed too, before the next word', async () => {
    const controller = new AbortController();
    const runtime = knowledgeRuntime({ search: finds({ ...stop, text: 'word '.repeat(1000) }), keepUnanswered });
    let late = 0;
    const run = (async () => {
      for await (const part of partsOf(runtime.reply(turn(), controller.signal))) {
        if (controller.signal.aborted) late += 1;
        if (part.type === 'text-delta') setImmediate(() => controller.abort(reason));
      }
    })();
    await expect(run).rejects.toBe(reason);
    expect(late).toBe(0);
  });

  it('does not wait for the search', async () => {
    const controller = new AbortController();
    const stalled: KnowledgeSearch = () => {
      setImmediate(() => controller.abort(reason));
      return new Promise(() => {});
    };
    await expect(parts(stalled, turn(), controller.signal)).rejects.toBe(reason);
  });

  it('before the beginning leaves nothing to do', async () => {
    const search = () => Promise.reject(new Error('asked'));
    await expect(parts(search, turn(), AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

it('a search that fails makes the reply fail', async () => {
  const fault = new Error('no database');
  await expect(parts(() => Promise.reject(fault))).rejects.toBe(fault);
});

it('the parameters have a JSON Schema, with its defaults', () => {
  const { parametersSchema } = knowledgeRuntime({ search: findsNothing, keepUnanswered });
  const validate = new Ajv2020({ strict: true }).compile(parametersSchema);
  const verdicts = [{}, { wordsPerSecond: 0 }, { wordsPerSecond: 2.5 }].map((parameters) => validate(parameters));
  expect(verdicts).toEqual([true, true, true]);
  for (const wrong of [{ wordsPerSecond: -1 }, { wordsPerSecond: '40' }, { speed: 1 }])
    expect(validate(wrong)).toBe(false);
  expect(parametersSchema).toMatchObject({ properties: { wordsPerSecond: { default: 40 } } });
});
