import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId } from '../../ids.ts';
import { createAgent, deleteAgent, updateAgent } from '../agents.ts';
import { AgentInUseError } from '../failures.ts';
import { AgentRef } from './agent.ts';
import { PlaybookInput } from './playbook.ts';
import { HttpToolInput } from './tool.ts';

const agentIdDescription = 'ID of the agent, `agent_…`.';
const nameDescription = "Shown to people as the author of the agent's messages. 1 to 200 characters.";
const runtimeDescription = 'Name of the runtime that generates its replies. This server must have it.';
const systemPromptDescription = 'Instructions that the agent is given before all others. At most 64 KiB.';
const greetingDescription =
  'What the agent says when it speaks first and its runtime writes no greeting of its own. At most 64 KiB.';
const parametersDescription =
  'Used for each reply unless its conversation or its message overrides them. Must match the schema of the runtime that the ' +
  'agent has after this change. At most 64 KiB.';
const playbooksDescription = 'At most 50, and 1 MiB of JSON in total.';
const toolsDescription = 'At most 50, and 256 KiB of JSON in total.';
const makeDefaultDescription =
  "True makes it the organization's default agent in place of the current one: it answers conversations for which neither they nor their inbox name an agent.";

const CreateAgentInput = builder.inputType('CreateAgentInput', {
  description: 'Only `name` is required.',
  fields: (t) => ({
    name: t.string({ required: true, description: nameDescription }),
    runtime: t.string({ required: true, defaultValue: 'knowledge', description: runtimeDescription }),
    systemPrompt: t.string({ description: systemPromptDescription }),
    greeting: t.string({ description: greetingDescription }),
    defaultRuntimeParameters: t.field({ type: 'JSONObject', description: parametersDescription }),
    corpusId: t.id({ description: 'The corpus that the agent consults, `corpus_…`.' }),
    playbooks: t.field({ type: [PlaybookInput], description: playbooksDescription }),
    tools: t.field({ type: [HttpToolInput], description: toolsDescription }),
    makeDefault: t.boolean({ required: true, defaultValue: false, description: makeDefaultDescription }),
  }),
});

const UpdateAgentInput = builder.inputType('UpdateAgentInput', {
  description: 'A field left out stays unchanged. Null clears a field that can be cleared.',
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
    corpusId: t.id({ description: 'The corpus that the agent consults, `corpus_…`.' }),
    playbooks: t.field({
      type: [PlaybookInput],
      description: `Replaced as a whole. A conversation whose playbook is removed continues without one. ${playbooksDescription}`,
    }),
    tools: t.field({
      type: [HttpToolInput],
      description: `Replaced as a whole, except for the headers of a tool that leaves them out. ${toolsDescription}`,
    }),
    makeDefault: t.boolean({ required: true, defaultValue: false, description: makeDefaultDescription }),
  }),
});

const DeleteAgentInput = builder.inputType('DeleteAgentInput', {
  description: 'The agent to delete.',
  fields: (t) => ({ agentId: t.id({ required: true, description: agentIdDescription }) }),
});

/** A payload that holds the agent with this row id. */
function agentPayload(name: string, description: string) {
  return builder.objectRef<{ agentId: string }>(name).implement({
    description,
    fields: (t) => ({
      agent: t.prismaField({
        type: AgentRef,
        description: 'The current agent. It may include later changes.',
        resolve: (query, { agentId }, _args, { services }) =>
          services.prisma.agent.findUniqueOrThrow({ ...query, where: { id: agentId } }),
      }),
    }),
  });
}

const CreateAgentPayload = agentPayload('CreateAgentPayload', 'The new agent.');
const UpdateAgentPayload = agentPayload('UpdateAgentPayload', 'The changed agent.');
const DeleteAgentPayload = builder.objectRef<{ agentId: string }>('DeleteAgentPayload').implement({
  description: 'The agent was deleted.',
  fields: (t) => ({
    deletedAgentId: t.id({
      description: 'ID of the deleted agent, for removing it from caches.',
      resolve: ({ agentId }) => encodeId('Agent', agentId),
    }),
  }),
});

builder.mutationField('createAgent', (t) =>
  t.field({
    type: CreateAgentPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Creates an agent. Do not repeat blindly: each call creates another one.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'CreateAgentResult', description: 'The result of `createAgent`.' },
    },
    args: { input: t.arg({ type: CreateAgentInput, required: true, description: 'The agent to create.' }) },
    resolve: (_root, { input }, { services, viewer }) => createAgent(services, viewer, input),
  }),
);

builder.mutationField('updateAgent', (t) =>
  t.field({
    type: UpdateAgentPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Changes an agent. The change applies from its next reply on.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'UpdateAgentResult', description: 'The result of `updateAgent`.' },
    },
    args: { input: t.arg({ type: UpdateAgentInput, required: true, description: 'The changes.' }) },
    resolve: (_root, { input }, { services, viewer }) => updateAgent(services, viewer, input),
  }),
);

builder.mutationField('deleteAgent', (t) =>
  t.field({
    type: DeleteAgentPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Deletes an agent that has no conversations and no inboxes and is not the default agent.',
    errors: {
      types: [AgentInUseError, NotFoundError, InvalidInputError],
      union: { name: 'DeleteAgentResult', description: 'The result of `deleteAgent`.' },
    },
    args: { input: t.arg({ type: DeleteAgentInput, required: true, description: 'The agent to delete.' }) },
    resolve: (_root, { input }, { services, viewer }) => deleteAgent(services, viewer, input),
  }),
);
