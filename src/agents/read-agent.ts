import type { JsonObject } from '../json.ts';
import { type ValueReader, valueLimits } from '../value-reader.ts';
import type { HttpTool } from './http-tool.ts';
import { type Playbook, playbooksSchema } from './playbook.ts';
import { readList } from './read-list.ts';
import { readToolInputs, type ToolInput } from './read-tools.ts';
import type { AgentRuntimes } from './runtimes.ts';

/** What an agent is made of. */
export interface AgentData {
  name: string;
  runtime: string;
  systemPrompt: string | null;
  greeting: string | null;
  defaultRuntimeParameters: JsonObject;
  playbooks: Playbook[];
  tools: HttpTool[];
}

/** A field left out stays unchanged; null clears it. */
export interface AgentInput {
  name?: string | null | undefined;
  runtime?: string | null | undefined;
  systemPrompt?: string | null | undefined;
  greeting?: string | null | undefined;
  defaultRuntimeParameters?: unknown;
  playbooks?: readonly unknown[] | null | undefined;
  tools?: readonly ToolInput[] | null | undefined;
}

/** In characters. */
const MAX_NAME = 200;
/** In bytes of JSON. */
const MAX_PLAYBOOKS = 1024 * 1024;

/** What an agent is after a change. */
export function readAgent(
  reader: ValueReader,
  runtimes: AgentRuntimes,
  input: AgentInput,
  before: AgentData,
): AgentData {
  const prompt = (field: 'systemPrompt' | 'greeting') =>
    input[field] === undefined ? before[field] : (reader.text([field], input[field], valueLimits.systemText) ?? null);
  const { playbooks, tools } = input;
  return {
    name: input.name === undefined ? before.name : readName(reader, input.name),
    ...readRuntime(reader, runtimes, input, before),
    systemPrompt: prompt('systemPrompt'),
    greeting: prompt('greeting'),
    playbooks:
      playbooks === undefined
        ? before.playbooks
        : readList(reader, 'playbooks', playbooks ?? [], playbooksSchema, MAX_PLAYBOOKS),
    tools: tools === undefined ? before.tools : readToolInputs(reader, tools ?? [], before.tools),
  };
}

function readName(reader: ValueReader, given: string | null): string {
  const name = reader.text(['name'], given) ?? '';
  if (name.length < 1 || name.length > MAX_NAME)
    reader.refuse(['name'], `Must be 1 to ${MAX_NAME} characters long.`, 'TOO_LONG');
  return name;
}

/** The parameters must suit the runtime that the agent then has, whichever of the two is changed. */
function readRuntime(
  reader: ValueReader,
  runtimes: AgentRuntimes,
  input: AgentInput,
  before: AgentData,
): Pick<AgentData, 'runtime' | 'defaultRuntimeParameters'> {
  const at = 'defaultRuntimeParameters';
  const runtime = input.runtime === undefined ? before.runtime : (input.runtime ?? '');
  const given = input[at];
  const parameters = given === undefined ? before[at] : (reader.object([at], given) ?? {});
  if (input.runtime !== undefined && !runtimes.get(runtime)) {
    reader.refuse(['runtime'], 'Is not the name of a runtime that this server has.', 'NOT_FOUND');
  } else if (input.runtime !== undefined || given !== undefined) {
    for (const { path, detail } of runtimes.checkParameters(runtime, parameters))
      reader.refuse([at, ...path], detail, 'SCHEMA');
  }
  return { runtime, defaultRuntimeParameters: parameters };
}
