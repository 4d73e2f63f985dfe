import { type Caller, participantOf } from '../../access/caller.ts';
import { CONTACT, readerOf } from '../../access/person.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { moveMark } from '../lists/read-marks.ts';
import type { ConversationServices } from '../services.ts';

/**
 * Marks a conversation as read up to a position. A mark only moves forward; what lies before it already changes nothing. It is no
 * event and raises no version. Returns where the mark stands.
 */
export async function markRead(
  services: Pick<ConversationServices, 'pool' | 'bus'>,
  caller: Caller,
  input: { conversationId: string; position: number },
): Promise<{ conversationId: string; position: number }> {
  const conversationId = decodeId('Conversation', input.conversationId);
  const reader = readerOf(caller);
  if (!conversationId || reader === null) throw new NotFoundError(['conversationId']);
  const { organizationId } = caller;
  const participant = participantOf(caller);
  const mark = { conversationId, organizationId, participant, reader, position: input.position };
  const marking = input.position < 0 ? null : await moveMark(services.pool, mark);
  if (!marking && input.position >= 0) throw new NotFoundError(['conversationId']);
  if (!marking || input.position >= marking.end) {
    const detail = 'Must be the position of a message of the conversation.';
    throw new InvalidInputError([{ path: ['position'], code: 'OUT_OF_RANGE', detail }]);
  }
  const { position, moved } = marking;
  if (moved && reader === CONTACT) services.bus.publish({ kind: 'read', conversationId, position: input.position });
  return { conversationId, position: position ?? input.position };
}
