import { partsOf, type ReplyPart, type Runtime, type Turn, type TurnMessage } from '../../src/agents/runtime.ts';

/** What a runtime is given in a test: nothing but a question, unless told otherwise. */
export function turnOf(changes: Partial<Turn> = {}): Turn {
  return {
    organizationId: 'organization',
    agentName: 'Ada',
    systemPrompt: null,
    greeting: null,
    state: { playbook: null, phase: null, systemMessage: null, context: null },
    playbook: null,
    tools: [],
    history: [said('USER', 'How do I stop it?')],
    parameters: {},
    corpusId: null,
    absence: null,
    ...changes,
  };
}

/** A message of a history. */
export function said(role: TurnMessage['role'], text: string, changes: Partial<TurnMessage> = {}): TurnMessage {
  return { id: '', role, text, metadata: {}, queryMetadata: null, ...changes };
}

/** What a runtime replied, and how it ended. */
export interface Replied {
  parts: ReplyPart[];
  /** What it threw. */
  error: unknown;
  text: string;
}

/** Has a runtime reply to the end. */
export async function replyOf(
  runtime: Runtime,
  turn: Turn,
  signal: AbortSignal = new AbortController().signal,
): Promise<Replied> {
  const parts: ReplyPart[] = [];
  let error: unknown;
  try {
    for await (const part of partsOf(runtime.reply(turn, signal))) parts.push(part);
  } catch (thrown) {
    error = thrown;
  }
  const text = parts.map((part) => (part.type === 'text-delta' ? part.text : '')).join('');
  return { parts, error, text };
}
