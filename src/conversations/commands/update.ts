import type { Caller } from '../../access/caller.ts';
import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { isJsonObject, type Json, type JsonObject } from '../../json.ts';
import { type Committed, commit } from '../log/commit.ts';
import { InputReader } from './input.ts';
import { readParameters } from './parameters.ts';
import type { ConversationServices } from '../services.ts';
import { ruleFor } from '../log/transitions.ts';

export interface UpdateConversationInput {
  conversationId: string;
  title?: string | null | undefined;
  metadata?: unknown;
  runtimeParameters?: unknown;
  expectedVersion?: number | null | undefined;
}

/** Changes title, metadata (merged, RFC 7396) or runtime parameters (replaced); also while a reply runs. */
export async function updateConversation(
  services: ConversationServices,
  caller: Caller,
  input: UpdateConversationInput,
): Promise<Committed> {
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  const reader = new InputReader();
  const title = input.title === undefined ? undefined : (reader.text(['title'], input.title) ?? null);
  const patch = reader.object(['metadata'], input.metadata);
  const runtimeParameters = await readReplacement(services, caller, reader, conversationId, input.runtimeParameters);
  reader.finish();

  return commit(
    services,
    {
      conversationId,
      organizationId: caller.organizationId,
      rule: ruleFor('updateConversation'),
      actor: caller.actor,
      serverId: services.serverId(),
      expectedVersion: input.expectedVersion,
    },
    async (db) => {
      const row = await readRow(db, conversationId, caller.organizationId);
      if (!row) return {};
      const merged = new InputReader();
      const metadata = merged.object(['metadata'], patch && mergePatch(row.metadata, patch));
      if (merged.issues.length > 0) return { refusal: new InvalidInputError(merged.issues) };
      const changes = {
        ...(title !== undefined && title !== row.title && { title }),
        ...(metadata && !isDeepStrictEqual(metadata, row.metadata) && { metadata }),
        ...(runtimeParameters && !isDeepStrictEqual(runtimeParameters, row.runtimeParameters) && { runtimeParameters }),
      };
      return Object.keys(changes).length > 0 ? { lifecycle: { type: 'ConversationUpdated', ...changes } } : {};
    },
  );
}

async function readReplacement(
  services: ConversationServices,
  { organizationId }: Caller,
  reader: InputReader,
  id: string,
  given: unknown,
): Promise<JsonObject | undefined> {
  if (given == null) return undefined;
  const conversation = await services.prisma.conversation.findFirst({
    where: { id, organizationId },
    include: { agent: true },
  });
  if (!conversation) throw new NotFoundError(['conversationId']);
  const { runtime, defaultRuntimeParameters } = conversation.agent;
  return readParameters(services, reader, given, { runtime, agent: defaultRuntimeParameters });
}

/** JSON Merge Patch, RFC 7396. */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isJsonObject(patch)) return patch;
  const merged = new Map(Object.entries(isJsonObject(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key) ?? null, value));
  }
  return Object.fromEntries(merged);
}

async function readRow(db: pg.PoolClient, conversationId: string, organizationId: string) {
  const { rows } = await db.query<{
    title: string | null;
    metadata: JsonObject;
    runtimeParameters: JsonObject;
  }>({
    text: `SELECT title, metadata, runtime_parameters AS "runtimeParameters"
      FROM conversation WHERE id = $1 AND organization_id = $2`,
    values: [conversationId, organizationId],
  });
  return rows[0] ?? null;
}
