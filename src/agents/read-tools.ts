import { type CallVisibility, DEFAULT_VISIBILITY } from '../access/visible-calls.ts';
import type { InputIssue } from '../errors.ts';
import type { SchemaChecker } from '../json-schema/checker.ts';
import { isJsonObject } from '../json.ts';
import { ValueReader } from '../value-reader.ts';
import { type HttpTool, toolsSchema } from './http-tool.ts';
import { readList } from './read-list.ts';

/** A tool as given in the input. */
export interface ToolInput {
  name: string;
  description: string;
  url: URL;
  /** Left out: the headers of the previous tool of this name stay. */
  headers?: unknown;
  /** Left out: any arguments are allowed. */
  parametersSchema?: unknown;
  timeoutSeconds: number;
  visibility: CallVisibility;
}

/** In bytes of JSON. */
const MAX_TOOLS = 256 * 1024;
/** Few, since each may take all the time that the check of a schema is allowed. */
const MAX_FAULTS = 5;

/** What is wrong with the tools' JSON Schemas. The tools' own form is checked elsewhere. Throws `UnavailableError`. */
export async function faultsOfSchemas(
  schemas: SchemaChecker,
  organizationId: string,
  given: readonly ToolInput[],
): Promise<InputIssue[]> {
  const issues: InputIssue[] = [];
  const reader = new ValueReader();
  reader.json([], given, MAX_TOOLS);
  if (reader.issues.length > 0) return [];
  for (const [index, { parametersSchema: schema }] of given.entries()) {
    const path = ['tools', String(index), 'parametersSchema'];
    // Anything else is refused by the check of the tool's form.
    if (!isJsonObject(schema) || issues.length >= MAX_FAULTS) continue;
    if (schema.type !== undefined && schema.type !== 'object') {
      issues.push({ path, detail: 'Must be of the type `object`, as arguments are.' });
      continue;
    }
    const detail = await schemas.faultOf(organizationId, schema);
    if (detail !== null) issues.push({ path, detail });
  }
  return issues;
}

/** Reads the tools that replace the stored ones. */
export function readToolInputs(
  reader: ValueReader,
  given: readonly ToolInput[],
  stored: readonly HttpTool[],
): HttpTool[] {
  const candidates = given.map(({ visibility, ...tool }, index) => ({
    ...tool,
    url: tool.url.href,
    headers: tool.headers === undefined ? keptHeaders(reader, tool, index, stored) : (tool.headers ?? {}),
    parametersSchema: tool.parametersSchema ?? { type: 'object', properties: {} },
    // Left out at its default, because a server of the previous release does not know this field.
    ...(visibility !== DEFAULT_VISIBILITY && { visibility }),
  }));
  const tools = readList(reader, 'tools', candidates, toolsSchema, MAX_TOOLS);
  for (const [index, tool] of tools.entries()) checkTool(reader, ['tools', String(index)], tool);
  return tools;
}

/** Keeps headers only for the same server. Otherwise whoever changes the URL could read the secrets. */
function keptHeaders(
  reader: ValueReader,
  { name, url }: Pick<ToolInput, 'name' | 'url'>,
  index: number,
  stored: readonly HttpTool[],
) {
  const before = stored.find((tool) => tool.name === name);
  if (!before || Object.keys(before.headers).length === 0) return {};
  if (new URL(before.url).origin !== url.origin) {
    reader.refuse(
      ['tools', String(index), 'headers'],
      'Must be given again, or null, since the URL leads to another server.',
    );
  }
  return before.headers;
}

/** Checks that the form of a tool cannot express. */
function checkTool(reader: ValueReader, path: string[], { url }: HttpTool): void {
  const { username, password } = new URL(url);
  // Everybody who may read the agent sees the URL.
  if (username || password)
    reader.refuse([...path, 'url'], 'Must not hold a password. Give an `Authorization` header.');
}
