import type {
  LanguageModelV3Message,
  LanguageModelV3ToolCall,
  LanguageModelV3ToolCallPart,
  LanguageModelV3ToolResultPart,
} from '@ai-sdk/provider';
import { isJsonObject, type JsonObject, isDeeperThan, MAX_DEPTH } from '../../json.ts';
import { cite, type FoundPassage } from '../knowledge/port.ts';
import { type ReplyPart, type Runtime, RuntimeError, type Turn } from '../runtime.ts';
import { AnswerStream } from './answer-stream.ts';
import { parametersSchema, readParameters } from './parameters.ts';
import { fixedGreeting, prompterFor } from './prompt.ts';
import { readPictures } from './pictures.ts';
import { Models, type ModelSettings, secretsOf } from './providers.ts';
import { callTool, failure, type Outcome, toolsOf, type ToolServices } from './tools.ts';

export interface ModelRuntimeOptions extends ToolServices {
  settings: ModelSettings;
}

/**
 * Answers with a language model, which may search the corpus, change the phase of a playbook, request a handoff and call the
 * operator's tools. Without a configured provider every reply is an error that names the missing setting.
 */
export function modelRuntime({ settings, ...services }: ModelRuntimeOptions): Runtime {
  const models = new Models(settings);
  const secrets = secretsOf(settings);
  return {
    name: 'model',
    parametersSchema,
    reply(turn, signal) {
      const greeting = fixedGreeting(turn);
      return greeting === null
        ? new ModelReply(turn, signal, { models, secrets, ...services }).parts()
        : greet(greeting, signal);
    },
  };
}

async function* greet(text: string, signal: AbortSignal): AsyncGenerator<ReplyPart[]> {
  signal.throwIfAborted();
  yield [{ type: 'text-start' }, { type: 'text-delta', text }, { type: 'text-end' }, { type: 'finish' }];
}

interface ModelServices extends ToolServices {
  models: Models;
  /** Must never appear in a message. */
  secrets: readonly string[];
}

/** One reply: asks the model, makes its calls, and repeats until it makes no more calls. */
class ModelReply {
  private readonly turn: Turn;
  private readonly signal: AbortSignal;
  private readonly services: ModelServices;
  private readonly exchange: LanguageModelV3Message[] = [];
  private readonly found = new Map<string, FoundPassage>();
  private phase: string | null;
  private calls = 0;
  private isHandedOff = false;

  constructor(turn: Turn, signal: AbortSignal, services: ModelServices) {
    this.turn = turn;
    this.signal = signal;
    this.services = services;
    this.phase = turn.state.phase;
  }

  async *parts(): AsyncGenerator<ReplyPart | ReplyPart[]> {
    const { turn, signal } = this;
    signal.throwIfAborted();
    const { maxSteps, temperature, maxOutputTokens, contextTokens, images, ...wanted } = readParameters(
      turn.parameters,
    );
    const { models, secrets } = this.services;
    const { ask, takesSystemMessages, takesImages } = await models.open(wanted);
    const promptTokens = contextTokens - Math.min(maxOutputTokens ?? contextTokens / 4, contextTokens / 2);
    const pictures = (images ?? takesImages) ? await readPictures(turn.history, this.services.logger) : undefined;
    signal.throwIfAborted();
    const promptAt = prompterFor(turn, { takesSystemMessages, promptTokens, ...(pictures && { pictures }) });
    let isAnswered = false;
    for (let step = 1; step <= maxSteps; step += 1) {
      const isLast = step === maxSteps;
      const tools = toolsOf(turn, this.phase, this.services).map(({ definition }) => definition);
      const answering = new AnswerStream(
        ask,
        {
          prompt: promptAt({ phase: this.phase, tools: isLast ? [] : tools, exchange: this.exchange }),
          tools,
          toolChoice: { type: isLast ? 'none' : 'auto' },
          ...(temperature !== undefined && { temperature }),
          ...(maxOutputTokens !== undefined && { maxOutputTokens }),
        },
        { signal, secrets, metadata: this.citations() },
      );
      try {
        for (let parts = await answering.next(); parts; parts = await answering.next()) yield parts;
      } finally {
        answering.leave();
      }
      const { answer } = answering;
      isAnswered ||= answer.hasText;
      if (answer.calls.length === 0) break;
      const asked: LanguageModelV3ToolCallPart[] = [];
      const results: LanguageModelV3ToolResultPart[] = [];
      for (const call of answer.calls) {
        const made = yield* this.make(call, { isLast, promptTokens });
        asked.push(made.asked);
        results.push(made.result);
      }
      this.exchange.push(
        { role: 'assistant', content: [...answer.content, ...asked] },
        { role: 'tool', content: results },
      );
    }
    if (!isAnswered && !this.isHandedOff) throw new RuntimeError('The model gave an empty answer.');
    yield { type: 'finish' };
  }

  /** Makes one call and yields its parts. Returns what the model sees of it. */
  private async *make(
    { toolCallId, toolName, input, providerMetadata }: LanguageModelV3ToolCall,
    { isLast, promptTokens }: { isLast: boolean; promptTokens: number },
  ): AsyncGenerator<ReplyPart, { asked: LanguageModelV3ToolCallPart; result: LanguageModelV3ToolResultPart }> {
    const { turn, signal, services } = this;
    const args = readArguments(input);
    this.calls += 1;
    const callId = `call_${this.calls}`;
    // Built anew for each call: an earlier call of this step may have changed the phase.
    const tools = toolsOf(turn, this.phase, services);
    const visibility = tools.find(({ definition }) => definition.name === toolName)?.visibility;
    yield {
      type: 'tool-call',
      callId,
      name: toolName.slice(0, 100),
      args: args ?? {},
      ...(visibility && { visibility }),
    };
    signal.throwIfAborted();
    const outcome = isLast
      ? failure('No more tools can be called in this reply.')
      : // Built anew for each call: an earlier call of this step may have changed the phase.
        await callTool(toolsOf(turn, this.phase, services), toolName, args, {
          ...services,
          organizationId: turn.organizationId,
          signal,
        });
    if (outcome.effect) {
      yield outcome.effect;
      if (outcome.effect.type === 'state-change') this.phase = outcome.effect.phase;
      else this.isHandedOff = true;
    }
    for (const passage of outcome.found ?? []) this.found.set(`${passage.articleId} ${passage.heading}`, passage);
    yield { type: 'tool-result', callId, response: outcome.response, failed: outcome.failed };
    // Providers restrict tool names, but the model may have called anything.
    const names = { toolCallId, toolName: toolName.replace(/[^\w-]/g, '_').slice(0, 64) };
    const options = providerMetadata && { providerOptions: providerMetadata };
    return {
      asked: { type: 'tool-call', ...names, input: args ?? {}, ...options },
      // One result gets at most a quarter of the window. A token is about three bytes.
      result: { type: 'tool-result', ...names, output: outputOf(outcome, (promptTokens / 4) * 3) },
    };
  }

  /** The passages found so far, as citations for the text that follows. */
  private citations(): JsonObject {
    return this.found.size > 0 ? { citations: [...this.found.values()].map(cite) } : {};
  }
}

/** The arguments of a call. Null if they are not a JSON object, or one that cannot be stored. */
function readArguments(input: string): JsonObject | null {
  if (input.trim() === '') return {};
  let args: unknown;
  try {
    args = JSON.parse(input);
  } catch {
    return null;
  }
  return isJsonObject(args) && !isDeeperThan(args, MAX_DEPTH) ? args : null;
}

function outputOf(
  { response, failed, told = response }: Outcome,
  units: number,
): LanguageModelV3ToolResultPart['output'] {
  const text = typeof told === 'string' ? told : JSON.stringify(told);
  if (failed) return { type: 'error-text', value: text };
  if (text.length > units) return { type: 'text', value: `${text.slice(0, units)} … (cut off)` };
  return typeof told === 'string' ? { type: 'text', value: told } : { type: 'json', value: told };
}
