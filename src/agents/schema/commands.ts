import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId } from '../../ids.ts';
import { createAgent, deleteAgent, updateAgent } from '../agents.ts';
import { AgentInUseError } from '../failures.ts';
import { AgentRef } from './agent.ts';
import { PlaybookInput } from './playbook.ts';
import { HttpToolInput } from './tool.ts';

const agentIdDescription = 'Which agent, `agent_…`.';
const nameDescription = 'Shown to people as the author of its messages. 1 to 200 characters.';
const runtimeDescription = 'How it answers: a runtime that this server has.';
const systemPromptDescription = 'What the agent is told before all else. At most 64 KiB.';
const greetingDescription =
  'What it says when it speaks first and its runtime writes no greeting of its own. At most 64 KiB.';
const parametersDescription =
  'Apply to each reply unless its conversation or its message overrides them; must match the schema of the runtime that the ' +
  'agent then has. At most 64 KiB.';
const playbooksDescription = 'At most 50, and 1 MiB of JSON in all.';
const toolsDescription = 'At most 50, and 256 KiB of JSON in all.';
const makeDefaultDescription =
  'True has it answer the conversations that name no agent and whose inbox names none, in place of the agent that does so now.';

const CreateAgentInput = builder.inputType('CreateAgentInput', {
  description: '`name` is enough.',
  fields: (t) => ({
    name: t.string({ required: true, description: nameDescription }),
    runtime: t.string({ required: true, defaultValue: 'knowledge', description: runtimeDescription }),
    systemPrompt: t.string({ description: systemPromptDescription }),
    greeting: t.string({ description: greetingDescription }),
    defaultRuntimeParameters: t.field({ type: 'JSONObject', description: parametersDescription }),
    corpusId: t.id({ description: 'What it consults.' }),
    playbooks: t.field({ type: [PlaybookInput], description: playbooksDescription }),
    tools: t.field({ type: [HttpToolInput], description: toolsDescription }),
    makeDefault: t.boolean({ required: true, defaultValue: false, description: makeDefaultDescription }),
  }),
});

const UpdateAgentInput = builder.inputType('UpdateAgentInput', {
  description: 'A field left out stays unchanged; null clears it, where it can be cleared.',
  fields: (t) => ({
    agentId: t.id({ required: true, description: agentIdDescription }),
    name: t.string({ description: `${nameDescription} Cannot be cleared.` }),
    runtime: t.string({ description: `${runtimeDescription} Cannot be cleared.` }),
    systemPrompt: t.string({ description: systemPromptDescription }),
    greeting: t.string({ description: greetingDescription }),
    defaultRuntimeParameters: t.field({
      type: 'JSONObject',
      description: `Replaced as a whole. ${parametersDescription}`,
    }),
    corpusId: t.id({ description: 'What it consults.' }),
    playbooks: t.field({
      type: [PlaybookInput],
      description: `Replaced as a whole; a conversation whose playbook is gone goes on without one. ${playbooksDescription}`,
    }),
    tools: t.field({
      type: [HttpToolInput],
      description: `Replaced as a whole, but for the headers of a tool that does not give them. ${toolsDescription}`,
    }),
    makeDefault: t.boolean({ required: true, defaultValue: false, description: makeDefaultDescription }),
  }),
});

const DeleteAgentInput = builder.inputType('DeleteAgentInput', {
  description: 'The agent to delete.',
  fields: (t) => ({ agentId: t.id({ required: true, description: agentIdDescription }) }),
});

/** A payload that holds the agent of this row id. */
function agentPayload(name: string, description: string) {
  return builder.objectRef<{ agentId: string }>(name).implement({
    description,
    fields: (t) => ({
      agent: t.prismaField({
        type: AgentRef,
        description: 'As it is now, which may be after later changes.',
        resolve: (query, { agentId }, _args, { services }) =>
          services.prisma.agent.findUniqueOrThrow({ ...query, where: { id: agentId } }),
      }),
    }),
  });
}

const CreateAgentPayload = agentPayload('CreateAgentPayload', 'The agent, made.');
const UpdateAgentPayload = agentPayload('UpdateAgentPayload', 'The agent, changed.');
const DeleteAgentPayload = builder.objectRef<{ agentId: string }>('DeleteAgentPayload').implement({
  description: 'The agent is gone.',
  fields: (t) => ({
    deletedAgentId: t.id({
      description: 'Its id, to take it out of caches.',
      resolve: ({ agentId }) => encodeId('Agent', agentId),
    }),
  }),
});

builder.mutationField('createAgent', (t) =>
  t.field({
    type: CreateAgentPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Makes an agent. Not harmless to repeat: each call makes one.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'CreateAgentResult', description: 'What `createAgent` comes to.' },
    },
    args: { input: t.arg({ type: CreateAgentInput, required: true, description: 'What it is made of.' }) },
    resolve: (_root, { input }, { services, viewer }) => createAgent(services, viewer, input),
  }),
);

builder.mutationField('updateAgent', (t) =>
  t.field({
    type: UpdateAgentPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Changes an agent, from its next reply on.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'UpdateAgentResult', description: 'What `updateAgent` comes to.' },
    },
    args: { input: t.arg({ type: UpdateAgentInput, required: true, description: 'What is to change.' }) },
    resolve: (_root, { input }, { services, viewer }) => updateAgent(services, viewer, input),
  }),
);

builder.mutationField('deleteAgent', (t) =>
  t.field({
    type: DeleteAgentPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Deletes an agent that has no conversation and no inbox, and that is not the default agent.',
    errors: {
      types: [AgentInUseError, NotFoundError, InvalidInputError],
      union: { name: 'DeleteAgentResult', description: 'What `deleteAgent` comes to.' },
    },
    args: { input: t.arg({ type: DeleteAgentInput, required: true, description: 'Which one.' }) },
    resolve: (_root, { input }, { services, viewer }) => deleteAgent(services, viewer, input),
  }),
);
