import type { Caller } from '../../access/caller.ts';
import { NotFoundError } from '../../errors.ts';
import { isJsonObject, type JsonObject } from '../../json.ts';
import type { ValueReader } from '../../value-reader.ts';
import type { ConversationServices } from '../services.ts';

/** The sources of a reply's parameters. A later one overrides an earlier one. */
export interface ParameterSources {
  /** The row id of whose conversation it is. */
  organizationId: string;
  runtime: string;
  agent: unknown;
  conversation?: unknown;
}

/** Reads `runtimeParameters` and reports each problem of the merged result with its path. */
export async function readParameters(
  services: ConversationServices,
  reader: ValueReader,
  given: unknown,
  sources: ParameterSources,
): Promise<JsonObject> {
  const path = ['runtimeParameters'];
  const parameters = reader.object(path, given) ?? {};
  const merged = Object.assign({}, objectOf(sources.agent), objectOf(sources.conversation), parameters);
  for (const issue of await services.checkParameters(sources.organizationId, sources.runtime, merged)) {
    reader.refuse([...path, ...issue.path], issue.detail, 'SCHEMA');
  }
  return parameters;
}

/** Parameters for one reply alone. They override those of its conversation. */
export async function readOverride(
  services: ConversationServices,
  caller: Caller,
  reader: ValueReader,
  conversationId: string,
  given: unknown,
): Promise<JsonObject> {
  if (given == null) return {};
  const conversation = await services.prisma.conversation.findFirst({
    where: { id: conversationId, organizationId: caller.organizationId },
    include: { agent: true },
  });
  if (!conversation) throw new NotFoundError(['conversationId']);
  return readParameters(services, reader, given, {
    organizationId: caller.organizationId,
    runtime: conversation.agent.runtime,
    agent: conversation.agent.defaultRuntimeParameters,
    conversation: conversation.runtimeParameters,
  });
}

function objectOf(value: unknown): JsonObject {
  return isJsonObject(value) ? value : {};
}
