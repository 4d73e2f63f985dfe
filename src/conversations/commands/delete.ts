import type { Caller } from '../../access/caller.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { VersionConflictError } from '../failures.ts';
import { removeConversation } from '../log/remove.ts';
import type { ConversationServices } from '../services.ts';

/** Deletes the conversation with everything in it. Only the last event of its log stays, for followers. */
export async function deleteConversation(
  services: ConversationServices,
  { organizationId, actor }: Caller,
  input: { conversationId: string; expectedVersion?: number | null | undefined },
): Promise<{ conversationId: string }> {
  const { expectedVersion } = input;
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  const isWanted = ({ version }: { version: number }) => {
    if (expectedVersion == null || expectedVersion === version) return true;
    throw new VersionConflictError(conversationId, expectedVersion, version);
  };
  const removal = { conversationId, organizationId, actor };
  const removed = await services.gate.run(conversationId, () => removeConversation(services, removal, { isWanted }));
  if (!removed) throw new NotFoundError(['conversationId']);
  return { conversationId };
}
