import type { Caller } from '../../access/caller.ts';
import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { NotFoundError } from '../../errors.ts';
import { isJsonObject, type Json, type JsonObject } from '../../json.ts';
import { type Committed, commitUnderLock } from '../log/commit.ts';
import { logEvents } from '../log/log-events.ts';
import { InputReader } from './input.ts';
import { type LabelsInput, readLabels, withLabels } from './labels.ts';
import { readParameters } from './parameters.ts';
import type { ConversationServices } from '../services.ts';
import { type ConversationInput, targetOf } from './target.ts';

export interface UpdateConversationInput extends ConversationInput {
  title?: string | null | undefined;
  metadata?: unknown;
  searchMetadata?: unknown;
  runtimeParameters?: unknown;
  labels?: LabelsInput | null | undefined;
}

/**
 * Changes title, labels, metadata (merged, RFC 7396), search metadata or runtime parameters (replaced). Allowed while a reply is
 * running.
 */
export async function updateConversation(
  services: ConversationServices,
  caller: Caller,
  input: UpdateConversationInput,
): Promise<Committed> {
  const target = targetOf(caller, 'updateConversation', input);
  const reader = new InputReader();
  const title = input.title === undefined ? undefined : (reader.text(['title'], input.title) ?? null);
  const patch = reader.object(['metadata'], input.metadata);
  const searchMetadata = reader.object(['searchMetadata'], input.searchMetadata);
  const labels = input.labels ? readLabels(reader, input.labels) : null;
  const runtimeParameters = await readReplacement(
    services,
    caller,
    reader,
    target.conversationId,
    input.runtimeParameters,
  );
  reader.finish();

  return commitUnderLock(services, target, async (db) => {
    const before = await readRow(db, target.conversationId);
    const merged = new InputReader();
    const metadata = merged.object(['metadata'], patch && mergePatch(before.metadata, patch));
    const labelled = labels ? withLabels(merged, before.labels, labels) : before.labels;
    merged.finish();
    const after = {
      title: title === undefined ? before.title : title,
      metadata: metadata ?? before.metadata,
      searchMetadata: searchMetadata ?? before.searchMetadata,
      runtimeParameters: runtimeParameters ?? before.runtimeParameters,
      labels: labelled,
    };
    if (isDeepStrictEqual(after, before)) return;
    await db.query({
      text: `UPDATE conversation SET title = $2, metadata = $3, search_metadata = $4, runtime_parameters = $5, labels = $6
        WHERE id = $1`,
      values: [
        target.conversationId,
        after.title,
        JSON.stringify(after.metadata),
        JSON.stringify(after.searchMetadata),
        JSON.stringify(after.runtimeParameters),
        after.labels,
      ],
    });
    await logEvents(db, target, [{ type: 'ConversationUpdated' }]);
  });
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
  return readParameters(services, reader, given, { organizationId, runtime, agent: defaultRuntimeParameters });
}

/** JSON Merge Patch (RFC 7396). */
export function mergePatch(target: Json, patch: Json): Json {
  if (!isJsonObject(patch)) return patch;
  const merged = new Map(Object.entries(isJsonObject(target) ? target : {}));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key) ?? null, value));
  }
  return Object.fromEntries(merged);
}

async function readRow(db: pg.PoolClient, conversationId: string) {
  const { rows } = await db.query<{
    title: string | null;
    metadata: JsonObject;
    searchMetadata: JsonObject;
    runtimeParameters: JsonObject;
    labels: string[];
  }>({
    text: `SELECT title, labels, metadata, search_metadata AS "searchMetadata", runtime_parameters AS "runtimeParameters"
      FROM conversation WHERE id = $1`,
    values: [conversationId],
  });
  if (!rows[0]) throw new Error('A conversation was gone under its lock.');
  return rows[0];
}
