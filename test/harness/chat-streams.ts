import type { Random } from './random.ts';

/** The bytes of an OpenAI-compatible stream with all that servers are known to send, and what none should. */
export function randomChatStream(random: Random): Buffer {
  const events = Array.from({ length: random.between(0, 12) }, () => randomEvent(random));
  if (random.next() < 0.8) events.push(chunkOf({ delta: {}, finish_reason: random.pick(reasons) }));
  if (random.next() < 0.6) events.push(JSON.stringify({ choices: [], usage: random.pick(usages) }));
  if (random.next() < 0.8) events.push('[DONE]');
  const end = random.pick(['\n', '\n', '\r\n', '\r']);
  const stream = events.map((data) => `${random.pick(before)}data:${random.pick([' ', ''])}${data}\n\n`).join('');
  const whole = Buffer.from(`${random.next() < 0.1 ? '\uFEFF' : ''}${stream}`.replaceAll('\n', end));
  return random.next() < 0.1 ? whole.subarray(0, random.between(0, whole.length)) : whole;
}

/** The same bytes in pieces. */
export function cutAnywhere(random: Random, bytes: Buffer): Buffer[] {
  const cuts = Array.from({ length: random.between(0, 8) }, () => random.between(0, bytes.length));
  const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((to, index) => bytes.subarray(places[index], to));
}

const reasons = ['stop', 'length', 'content_filter', 'tool_calls', 'function_call', 'else', ''];
const texts = ['Hello', ' ', '', '\n\n', 'größer', '日本語', '👩‍🚀', '\u2028', '\\"', '\0', '\uD83D'];
const usages = [
  null,
  undefined,
  {},
  { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
  { prompt_tokens: 3, completion_tokens: null, prompt_tokens_details: { cached_tokens: 2 } },
  { completion_tokens: 9, completion_tokens_details: { reasoning_tokens: 5, else: true } },
  { prompt_tokens: '3' },
  { completion_tokens_details: [] },
];
const before = ['', '', '', '', ': still thinking\n', 'event: message\n', 'id: 4\nretry: 3\n', 'else\n', '\n\n'];

function chunkOf(choice: object, rest: object = {}): string {
  return JSON.stringify({ id: 'chat', created: 1, model: 'fake', choices: [{ index: 0, ...choice }], ...rest });
}

function randomEvent(random: Random): string {
  const text = () => random.pick(texts);
  const deltas: [weight: number, make: () => string][] = [
    [10, () => chunkOf({ delta: { content: text() }, finish_reason: null })],
    [2, () => chunkOf({ delta: { role: random.pick(['assistant', '', null]), content: random.pick(['', null]) } })],
    [3, () => chunkOf({ delta: { reasoning_content: text() } })],
    [2, () => chunkOf({ delta: { reasoning: text(), content: random.pick([text(), null]) } })],
    [1, () => chunkOf({ delta: { reasoning_content: '', reasoning: text() } })],
    [2, () => chunkOf({ delta: { content: randomContent(random) } })],
    [3, () => chunkOf({ delta: { refusal: random.pick([text(), null, false]) } })],
    [
      8,
      () => chunkOf({ delta: { tool_calls: Array.from({ length: random.between(0, 3) }, () => randomCall(random)) } }),
    ],
    [1, () => chunkOf({ delta: { content: text() }, finish_reason: random.pick(reasons) })],
    [1, () => chunkOf({ delta: null }, { usage: random.pick(usages) })],
    [1, () => random.pick(broken)],
  ];
  const total = deltas.reduce((sum, [weight]) => sum + weight, 0);
  let at = random.next() * total;
  return (deltas.find(([weight]) => (at -= weight) < 0) ?? deltas[0])?.[1]() ?? '';
}

function randomContent(random: Random): object[] {
  const thought = () => random.pick([{ type: 'text', text: random.pick(texts) }, { type: 'else' }, null]);
  return Array.from({ length: random.between(0, 4) }, () =>
    random.pick<object>([
      { type: 'text', text: random.pick(texts) },
      { type: 'text', text: 4 },
      { type: 'thinking', thinking: [thought(), thought()] },
      { type: 'thinking', thinking: 'none' },
      { type: 'image' },
    ]),
  );
}

function randomCall(random: Random): object {
  return {
    index: random.pick([0, 0, 0, 1, 1, 2, null, undefined]),
    id: random.pick(['call-1', 'call-2', null, undefined, undefined, '']),
    type: random.pick(['function', undefined]),
    function: {
      name: random.pick(['search', 'handoff', null, undefined, undefined, ' ']),
      arguments: random.pick(['{"a":', '1}', '{}', '', null, undefined]),
    },
    extra_content: random.pick([undefined, undefined, null, { google: { thought_signature: 'signed' } }]),
  };
}

/** What is no chunk of a chat, and what only looks like none. */
const broken = [
  '{"choices":[{"delta":{"content":"half',
  'null',
  '[]',
  '"text"',
  '{}',
  '{"choices":"none"}',
  '{"choices":[null]}',
  '{"choices":[{"delta":{"content":5}}]}',
  '{"choices":[{"delta":{"content":[{"text":"no type"}]}}]}',
  '{"choices":[{"delta":{"role":"user","content":"x"}}]}',
  '{"choices":[{"delta":[]}]}',
  '{"choices":[{"delta":{"reasoning":{}}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":"0","function":{}}]}}]}',
  '{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{},"extra_content":{"google":[]}}]}}]}',
  '{"choices":[],"id":5}',
  '{"choices":[],"created":"1"}',
  '{"choices":[],"model":false}',
  '{"choices":[{"finish_reason":1}]}',
  '{"choices":[],"error":null}',
  '{"choices":[],"error":{"message":"too busy"}}',
  '{"error":{"message":"too busy","type":"overloaded","code":529}}',
  '{"error":{"message":"too busy","code":"529","param":[]}}',
  '{"error":{"message":"too busy","code":true}}',
  '{"error":{"message":529}}',
  '{"error":"too busy"}',
  '{"choices":[{"delta":{"content":"one"}},{"delta":{"content":"two"}}]}',
];
