import type { JSONSchema7, LanguageModelV3FunctionTool } from '@ai-sdk/provider';
import { type CallVisibility, DEFAULT_VISIBILITY } from '../../access/visible-calls.ts';
import { UnavailableError } from '../../errors.ts';
import { type SchemaChecker, SchemaError } from '../../json-schema/checker.ts';
import type { ValueFault } from '../../json-schema/protocol.ts';
import type { Json, JsonObject } from '../../json.ts';
import type { Logger } from '../../logger.ts';
import type { HttpTool } from '../http-tool.ts';
import { cite, type FoundPassage, type KnowledgeSearch, summarize } from '../knowledge/port.ts';
import { nextPhases, playbookInstructions } from '../playbook.ts';
import type { ReplyPart, Turn } from '../runtime.ts';
import { unlessAborted } from '../unless-aborted.ts';
import { callHttpTool, type HttpCallOptions, ToolError } from './http-call.ts';

/** The result of a call. */
export interface Outcome {
  /** The response in the conversation. The tool's visibility decides what end users see of it. */
  response: Json;
  failed: boolean;
  /** The response for the model, if it differs from the one in the conversation. */
  told?: Json;
  /** A further part of the reply that the call causes. */
  effect?: Extract<ReplyPart, { type: 'state-change' | 'handoff-request' }>;
  /** Passages that the rest of the reply may cite. */
  found?: FoundPassage[];
}

/** A tool that the model may call. */
export interface Tool {
  definition: LanguageModelV3FunctionTool;
  /** What end users see of its calls. Default: nothing. */
  visibility?: CallVisibility;
  call(args: JsonObject, signal: AbortSignal): Promise<Outcome>;
}

export interface ToolServices extends HttpCallOptions {
  search: KnowledgeSearch;
  schemas: SchemaChecker;
  logger: Logger;
}

/** The tools that the model may call in a phase of the turn's playbook. */
export function toolsOf(turn: Turn, phase: string | null, services: ToolServices): Tool[] {
  return [
    ...knowledgeTool(turn, services.search),
    ...phaseTool(turn, phase),
    handoffTool,
    ...turn.tools.map((tool) => operatorsTool(tool, services)),
  ];
}

/** What a call is made with. `organizationId` is the row id of whose reply makes it. */
type CallContext = Pick<ToolServices, 'logger' | 'schemas'> & { organizationId: string; signal: AbortSignal };

/** Calls a tool by name with the model's arguments. A failure is an outcome too, so that the model can correct itself. */
export async function callTool(
  tools: readonly Tool[],
  name: string,
  args: JsonObject | null,
  { organizationId, signal, logger, schemas }: CallContext,
): Promise<Outcome> {
  const tool = tools.find(({ definition }) => definition.name === name);
  if (!tool) return failure('There is no such tool.');
  if (!args) return failure('The arguments are not a JSON object.');
  try {
    const fault = await faultOf(() => schemas.check(organizationId, tool.definition.inputSchema, args));
    if (fault !== null) return failure(`The arguments are not valid: ${fault}.`);
    return await tool.call(args, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof ToolError)) logger.error({ err: error, tool: name }, 'a tool failed');
    return failure(error instanceof ToolError ? error.message : 'The tool failed.');
  }
}

/** The outcome of a call that failed or was not made. */
export function failure(reason: string): Outcome {
  return { response: { error: reason }, failed: true };
}

function knowledgeTool({ corpusId, history }: Turn, search: KnowledgeSearch): Tool[] {
  if (corpusId === null) return [];
  const queryMetadata = history.findLast(({ role }) => role === 'USER')?.queryMetadata ?? null;
  return [
    {
      definition: {
        type: 'function',
        name: 'queryKnowledgeBase',
        description:
          'Looks a question up in the knowledge base. Call it before you state facts, and say so when it finds nothing.',
        inputSchema: {
          type: 'object',
          properties: { query: { type: 'string', description: 'The question, in words.', minLength: 1 } },
          required: ['query'],
          additionalProperties: false,
        },
      },
      async call({ query }, signal) {
        const request = { corpusId, query: textOf(query), queryMetadata, limit: 5 };
        const { passages: found } = await unlessAborted(search(request, signal), signal);
        return {
          response: { passages: found.map(summarize) },
          failed: false,
          told: { passages: found.map((passage) => ({ ...cite(passage), text: passage.text })) },
          found,
        };
      },
    },
  ];
}

function phaseTool({ playbook, state }: Turn, phase: string | null): Tool[] {
  const next = playbook ? nextPhases(playbook, phase) : [];
  if (!playbook || next.length === 0) return [];
  return [
    {
      definition: {
        type: 'function',
        name: 'changePhase',
        description: 'Goes on to another phase of your playbook, once you have done what the present one asks for.',
        inputSchema: {
          type: 'object',
          properties: { phase: { type: 'string', enum: next.map(({ name }) => name) } },
          required: ['phase'],
          additionalProperties: false,
        },
      },
      async call(args) {
        const entered = textOf(args.phase);
        const instructions = state.systemMessage === null ? playbookInstructions(playbook, entered) : null;
        return {
          response: { phase: entered },
          failed: false,
          told: { phase: entered, ...(instructions !== null && { instructions }) },
          effect: { type: 'state-change', phase: entered },
        };
      },
    },
  ];
}

const handoffTool: Tool = {
  definition: {
    type: 'function',
    name: 'requestHandoff',
    description:
      'Has a human take over this conversation as soon as this reply has ended. Call it when the user asks for a human, or when you cannot help.',
    inputSchema: {
      type: 'object',
      properties: { reason: { type: 'string', description: 'Why, for the human.', maxLength: 1000 } },
      required: ['reason'],
      additionalProperties: false,
    },
  },
  async call({ reason }) {
    return {
      response: { requested: true },
      failed: false,
      effect: { type: 'handoff-request', reason: textOf(reason) },
    };
  },
};

function operatorsTool(tool: HttpTool, services: ToolServices): Tool {
  const { name, description, parametersSchema, visibility = DEFAULT_VISIBILITY } = tool;
  return {
    visibility,
    definition: {
      type: 'function',
      name,
      description,
      // Some providers require `type`.
      inputSchema: asSchema({ type: 'object', ...parametersSchema }),
    },
    async call(args, signal) {
      return { response: await callHttpTool(tool, args, { ...services, signal }), failed: false };
    },
  };
}

/** What is wrong with the arguments, or null. Throws `ToolError` if they cannot be checked. */
async function faultOf(check: () => Promise<ValueFault | null>): Promise<string | null> {
  try {
    const fault = await check();
    return fault && `${['arguments', ...fault.path].join('/')} ${fault.message}`.slice(0, 1000);
  } catch (error) {
    if (error instanceof UnavailableError) throw new ToolError(error.message);
    if (!(error instanceof SchemaError)) throw error;
    throw new ToolError(`The arguments cannot be checked. The schema of the tool's parameters: ${error.message}`);
  }
}

/** The text of a value whose schema requires a string. */
function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** Converts between two types that differ only in how they express an open schema. */
function asSchema(schema: object): JSONSchema7 {
  return schema;
}
