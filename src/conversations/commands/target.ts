import { type Caller, participantOf } from '../../access/caller.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { Target } from '../log/append.ts';
import { type Command, ruleFor } from '../log/transitions.ts';

/** The conversation that a command is for, and the expected version. */
export interface ConversationInput {
  conversationId: string;
  expectedVersion?: number | null | undefined;
}

/** The target of a command, with the command's rule. Throws `NotFoundError` if the id is malformed. */
export function targetOf(caller: Caller, command: Command, input: ConversationInput): Target {
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  return {
    conversationId,
    organizationId: caller.organizationId,
    rule: ruleFor(command),
    actor: caller.actor,
    participant: participantOf(caller),
    expectedVersion: input.expectedVersion,
  };
}
