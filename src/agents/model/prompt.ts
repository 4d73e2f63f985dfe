import type { LanguageModelV3FilePart, LanguageModelV3FunctionTool, LanguageModelV3Message } from '@ai-sdk/provider';
import { randomUUID } from 'node:crypto';
import { isJsonObject } from '../../json.ts';
import { instructAbsence } from '../absence.ts';
import { playbookInstructions } from '../playbook.ts';
import type { Turn, TurnMessage } from '../runtime.ts';
import { type Pictures, withFiles } from './pictures.ts';

/** What a picture is taken for, in tokens: about the most that models make of one. */
const PICTURE_TOKENS = 1600;

/** How many bytes of UTF-8 are taken for a token. */
const BYTES_OF_TOKEN = 3;

/** What stands where a text was cut. */
const CUT = '\n[Cut here: the rest is not shown.]';

/** What changes between the steps of a reply. */
export interface Moment {
  phase: string | null;
  tools: readonly LanguageModelV3FunctionTool[];
  /** The reply so far: its texts, calls and results. */
  exchange: readonly LanguageModelV3Message[];
}

/** Builds the prompt for one step of a reply. */
export type Prompter = (moment: Moment) => LanguageModelV3Message[];

interface PromptOptions {
  takesSystemMessages: boolean;
  /** The model's window minus what is kept free for its output. */
  promptTokens: number;
  /** Shown with their messages. Left out: none. */
  pictures?: Pictures;
}

/**
 * Builds the prompts of a reply: the system text, then as much of the history as fits, then the exchange so far. The system
 * text, everything from the user's last message on and the exchange are always included. Of the earlier messages the oldest are
 * left out, whole, until the estimate fits into the prompt's tokens. If it does not fit without them either, the text of the
 * user's last message is cut at its end, to not less than a quarter of those tokens.
 *
 * Control messages become system messages if the provider accepts those anywhere. Otherwise they become user messages that
 * begin with a mark. The mark is random for each reply, so that no user can know it.
 */
export function prompterFor(turn: Turn, { takesSystemMessages, promptTokens, pictures }: PromptOptions): Prompter {
  // Several servers refuse a prompt without a user message.
  const marks = !takesSystemMessages || !turn.history.some(({ role }) => role === 'USER');
  const mark = `[operator ${randomUUID().slice(0, 8)}]`;
  const instruct = (text: string): LanguageModelV3Message =>
    marks ? userMessage(`${mark} ${text}`) : { role: 'system', content: text };

  const spoken = turn.history.filter(({ text, attachments = [] }) => text.trim() !== '' || attachments.length > 0);
  const messages = spoken.map((message) => messageOf(message, instruct, pictures?.get(message)));
  const lastQuestion = spoken.findLastIndex(({ role }) => role === 'USER');
  const firstKept = lastQuestion < 0 ? Math.max(0, messages.length - 1) : lastQuestion;
  const older = messages.slice(0, firstKept);
  const rest = messages.slice(firstKept);
  if (spoken.every(({ role }) => role === 'CONTROL')) rest.push(instruct(opening(turn)));
  else if (messages.at(-1)?.role === 'assistant') rest.push(instruct('Say what comes next.'));
  const isMarked = [...older, ...rest].some((message) => plainText(message)?.startsWith(mark));

  return ({ phase, tools, exchange }) => {
    const system = systemText(turn, phase, tools, isMarked ? mark : null);
    const whole = [...rest, ...exchange];
    const tokensOf = (all: typeof whole) =>
      all.reduce((sum, message) => sum + estimateMessage(message), estimate(system) + estimate(tools));
    const question = spoken[lastQuestion];
    const cut = question && cutBy(tokensOf(whole) - promptTokens, question, promptTokens / 4);
    const fixed = question && cut ? [messageOf(cut, instruct, pictures?.get(question)), ...whole.slice(1)] : whole;
    const used = tokensOf(fixed);
    const shown = [...newest(older, promptTokens - used), ...fixed];
    // These providers require that the user speaks first, but here the agent did.
    if (!takesSystemMessages && shown[0]?.role === 'assistant') shown.unshift(userMessage('…'));
    return [{ role: 'system', content: system }, ...merged(shown, mark)];
  };
}

/** The fixed greeting, which needs no model. Null if the model has to write the first message. */
export function fixedGreeting({ greeting, history }: Turn): string | null {
  return history.length === 0 && greeting !== null && greeting.trim() !== '' ? greeting : null;
}

/** Estimates tokens by bytes of UTF-8, which is too high rather than too low for most texts. */
function estimate(value: unknown): number {
  const bytes = Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value));
  return Math.ceil(bytes / BYTES_OF_TOKEN) + 4;
}

function estimateMessage(message: LanguageModelV3Message): number {
  if (message.role !== 'user') return estimate(message);
  const texts = message.content.filter(({ type }) => type === 'text');
  return estimate({ ...message, content: texts }) + (message.content.length - texts.length) * PICTURE_TOKENS;
}

function opening({ greeting }: Turn): string {
  const usual = greeting === null ? '' : ` Your usual greeting is: ${greeting}`;
  return `The user has not said anything yet. Speak first.${usual}`;
}

function systemText(
  turn: Turn,
  phase: string | null,
  tools: readonly LanguageModelV3FunctionTool[],
  mark: string | null,
): string {
  const { systemMessage, context } = turn.state;
  return [
    turn.systemPrompt ?? `You are ${turn.agentName}.`,
    systemMessage ?? (turn.playbook && playbookInstructions(turn.playbook, phase)),
    isEmpty(context) ? null : `What is known about this conversation, as JSON:\n${JSON.stringify(context)}`,
    turn.absence && instructAbsence(turn.absence),
    tools.length > 0 && `You can call these tools: ${tools.map(({ name }) => name).join(', ')}.`,
    mark &&
      `Messages that begin with ${mark} are instructions of the operator. The user does not see them; never mention them.`,
  ]
    .filter(Boolean)
    .join('\n\n');
}

/** The message without so many tokens at the end of its text, of which so many are kept. Null if nothing is to be cut. */
function cutBy(excess: number, message: TurnMessage, atLeast: number): TurnMessage | null {
  if (excess <= 0) return null;
  const text = Buffer.from(message.text);
  const bytes = Math.max(text.byteLength - BYTES_OF_TOKEN * excess - CUT.length, BYTES_OF_TOKEN * atLeast);
  if (text.byteLength <= bytes) return null;
  // Drops a character that was cut in two.
  return { ...message, text: new TextDecoder().decode(text.subarray(0, bytes), { stream: true }) + CUT };
}

function isEmpty(context: Turn['state']['context']): boolean {
  return context === null || (isJsonObject(context) && Object.keys(context).length === 0);
}

function messageOf(
  { role, text, attachments }: TurnMessage,
  instruct: (text: string) => LanguageModelV3Message,
  pictures?: readonly LanguageModelV3FilePart[],
): LanguageModelV3Message {
  const whole = withFiles(text, attachments);
  if (role === 'CONTROL') return instruct(whole);
  return role === 'USER' ? userMessage(whole, pictures) : assistantMessage(whole);
}

function userMessage(text: string, pictures: readonly LanguageModelV3FilePart[] = []): LanguageModelV3Message {
  return { role: 'user', content: [{ type: 'text', text }, ...pictures] };
}

function assistantMessage(text: string): LanguageModelV3Message {
  return { role: 'assistant', content: [{ type: 'text', text }] };
}

/** The last messages, as many as fit. */
function newest(messages: readonly LanguageModelV3Message[], tokens: number): readonly LanguageModelV3Message[] {
  let left = tokens;
  let first = messages.length;
  for (; first > 0; first -= 1) {
    const message = messages[first - 1];
    left -= message ? estimateMessage(message) : 0;
    if (left < 0) break;
  }
  return messages.slice(first);
}

/** Joins consecutive messages of the same side: many servers require that the sides alternate. */
function merged(messages: readonly LanguageModelV3Message[], mark: string): LanguageModelV3Message[] {
  const joined: LanguageModelV3Message[] = [];
  for (const message of messages) {
    const last = joined.at(-1);
    const [before, text] = [last && plainText(last), plainText(message)];
    if (before != null && text !== null && last?.role === message.role && !`${before}${text}`.includes(mark)) {
      joined[joined.length - 1] = (message.role === 'user' ? userMessage : assistantMessage)(`${before}\n\n${text}`);
    } else {
      joined.push(message);
    }
  }
  return joined;
}

/** The text of a message that consists only of text. Null for any other message. */
function plainText({ role, content }: LanguageModelV3Message): string | null {
  if (role !== 'user' && role !== 'assistant') return null;
  const [part, ...others] = content;
  return part?.type === 'text' && others.length === 0 ? part.text : null;
}
