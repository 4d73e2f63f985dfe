import type { Caller } from '../../access/caller.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import type { Change } from '../log/append.ts';
import { type Command, ruleFor } from '../log/transitions.ts';
import type { ConversationServices } from '../services.ts';

/** The conversation that a command is given for, and the guard of its version. */
export interface Target {
  conversationId: string;
  expectedVersion?: number | null | undefined;
}

/** A change of one conversation under the rule of a command. Throws `NotFoundError` when the id is not well-formed. */
export function changeOf(services: ConversationServices, caller: Caller, command: Command, input: Target): Change {
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  return {
    conversationId,
    organizationId: caller.organizationId,
    rule: ruleFor(command),
    actor: caller.actor,
    serverId: services.serverId(),
    expectedVersion: input.expectedVersion,
  };
}
