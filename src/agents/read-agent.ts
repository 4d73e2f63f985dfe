import type { InputIssue } from '../errors.ts';
import type { SchemaChecker } from '../json-schema/checker.ts';
import type { JsonObject } from '../json.ts';
import { type ValueReader, valueLimits } from '../value-reader.ts';
import type { HttpTool } from './http-tool.ts';
import { type Playbook, playbooksSchema } from './playbook.ts';
import { readList } from './read-list.ts';
import { faultsOfSchemas, readToolInputs, type ToolInput } from './read-tools.ts';
import type { AgentRuntimes } from './runtimes.ts';

/** The data of an agent. */
export interface AgentData {
  name: string;
  runtime: string;
  systemPrompt: string | null;
  greeting: string | null;
  defaultRuntimeParameters: JsonObject;
  playbooks: Playbook[];
  tools: HttpTool[];
}

/** A field left out stays unchanged. Null clears it. */
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

/** An agent's data after a change. Checks the input itself; `checkAgent` checks the rest. */
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

/**
 * What is wrong with the schemas of the given tools, and with the parameters for the runtime that the agent has after the change,
 * whichever of the two changes. Throws `UnavailableError`. May take seconds, so call it without holding a lock.
 */
export async function checkAgent(
  { runtimes, schemas }: { runtimes: AgentRuntimes; schemas: SchemaChecker },
  organizationId: string,
  input: AgentInput,
  { runtime, defaultRuntimeParameters }: AgentData,
): Promise<InputIssue[]> {
  const issues = await faultsOfSchemas(schemas, organizationId, input.tools ?? []);
  if (input.runtime === undefined && input.defaultRuntimeParameters === undefined) return issues;
  // An unknown runtime is reported by `readAgent`.
  if (!runtimes.get(runtime)) return issues;
  const faults = await runtimes.checkParameters(organizationId, runtime, defaultRuntimeParameters);
  return [...issues, ...faults.map((fault) => ({ ...fault, path: ['defaultRuntimeParameters', ...fault.path] }))];
}

function readName(reader: ValueReader, given: string | null): string {
  const name = reader.text(['name'], given) ?? '';
  if (name.length < 1 || name.length > MAX_NAME)
    reader.refuse(['name'], `Must be 1 to ${MAX_NAME} characters long.`, 'TOO_LONG');
  return name;
}

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
  }
  return { runtime, defaultRuntimeParameters: parameters };
}
