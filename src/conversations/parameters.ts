import { isJsonObject, type JsonObject } from '../json.ts';
import type { InputReader } from './input.ts';
import type { ConversationServices } from './services.ts';

/** Where the parameters of a reply come from, the later over the earlier. */
export interface ParameterSources {
  runtime: string;
  agent: unknown;
  conversation?: unknown;
}

/** Reads `runtimeParameters` and reports each fault of the merged result with its path. */
export async function readParameters(
  services: ConversationServices,
  reader: InputReader,
  given: unknown,
  sources: ParameterSources,
): Promise<JsonObject> {
  const path = ['runtimeParameters'];
  const parameters = reader.object(path, given) ?? {};
  const merged = Object.assign({}, objectOf(sources.agent), objectOf(sources.conversation), parameters);
  for (const issue of await services.checkParameters(sources.runtime, merged)) {
    reader.refuse([...path, ...issue.path], issue.detail);
  }
  return parameters;
}

function objectOf(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}
