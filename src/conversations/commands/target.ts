import type { Caller } from '../../access/caller.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { Target } from '../log/append.ts';
import { type Command, ruleFor } from '../log/transitions.ts';

/** The conversation that a command is given for, and the guard of its version. */
export interface ConversationInput {
  conversationId: string;
  expectedVersion?: number | null | undefined;
}

/** A conversation under the rule of a command. Throws `NotFoundError` when the id is not well-formed. */
export function targetOf(caller: Caller, command: Command, input: ConversationInput): Target {
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  return {
    conversationId,
    organizationId: caller.organizationId,
    rule: ruleFor(command),
    actor: caller.actor,
    expectedVersion: input.expectedVersion,
  };
}
