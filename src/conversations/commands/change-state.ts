import { type Caller, participantOf } from '../../access/caller.ts';
import { NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { type Committed, commit } from '../log/commit.ts';
import { ruleFor } from '../log/transitions.ts';
import type { ConversationServices } from '../services.ts';
import { InputReader, type StateInput } from './input.ts';

export interface ChangeStateInput {
  conversationId: string;
  stateAfter: StateInput;
  expectedVersion?: number | null | undefined;
}

/** Changes the state without adding a message. Does nothing if the state is the same already. */
export async function changeState(
  services: ConversationServices,
  caller: Caller,
  input: ChangeStateInput,
): Promise<Committed> {
  const conversationId = decodeId('Conversation', input.conversationId);
  if (!conversationId) throw new NotFoundError(['conversationId']);
  const reader = new InputReader();
  const state = reader.state(['stateAfter'], input.stateAfter);
  reader.finish();
  return commit(services, {
    conversationId,
    organizationId: caller.organizationId,
    rule: ruleFor('changeState'),
    actor: caller.actor,
    participant: participantOf(caller),
    serverId: services.serverId(),
    expectedVersion: input.expectedVersion,
    state,
  });
}
