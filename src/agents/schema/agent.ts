import { visibleTo } from '../../access/visibility.ts';
import { builder } from '../../graphql/builder.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import type { JsonObject } from '../../json.ts';
import { isJsonObject } from '../../json.ts';
import { readTools } from '../http-tool.ts';
import { readPlaybooks } from '../playbook.ts';
import type { Runtime } from '../runtime.ts';
import { PlaybookRef } from './playbook.ts';
import { HttpToolRef } from './tool.ts';

const AgentRuntimeRef = builder.objectRef<Pick<Runtime, 'name' | 'parametersSchema'>>('AgentRuntime').implement({
  description: 'How an agent answers. Not an enum: an installation can add its own.',
  fields: (t) => ({
    name: t.exposeString('name', { description: '`knowledge`, `model`, …' }),
    parametersSchema: t.field({
      type: 'JSONObject',
      description: 'The JSON Schema that runtime parameters must match.',
      resolve: (runtime) => runtime.parametersSchema,
    }),
  }),
});

export const AgentRef = builder.prismaNode('Agent', {
  description: 'Who answers, and by what means.',
  id: { field: 'id', description: 'Of this object, and of no other of any type.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).agent }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Shown to people as the author of its messages.' }),
    runtime: t.field({
      type: AgentRuntimeRef,
      ...operatorsOnly(),
      resolve: (agent, _args, { services }) =>
        services.runtimes.get(agent.runtime) ?? { name: agent.runtime, parametersSchema: {} },
    }),
    systemPrompt: t.exposeString('systemPrompt', {
      ...operatorsOnly('Null when there is none.'),
    }),
    greeting: t.exposeString('greeting', {
      ...operatorsOnly(
        'What it says when it speaks first and its runtime writes no greeting of its own; null when there is none.',
      ),
    }),
    defaultRuntimeParameters: t.field({
      type: 'JSONObject',
      ...operatorsOnly('Apply to each reply unless its conversation or its message overrides them.'),
      resolve: (agent): JsonObject =>
        isJsonObject(agent.defaultRuntimeParameters) ? agent.defaultRuntimeParameters : {},
    }),
    corpus: t.relation('corpus', operatorsOnly('Null when there is none.')),
    playbooks: t.field({
      type: [PlaybookRef],
      ...operatorsOnly('In the order in which they were given.'),
      resolve: ({ playbooks }) => readPlaybooks(playbooks),
    }),
    tools: t.field({
      type: [HttpToolRef],
      ...operatorsOnly('Those of its own, beside the tools that every agent has.'),
      resolve: ({ tools }) => readTools(tools),
    }),
    isDefault: t.boolean({
      ...operatorsOnly('Whether it answers the conversations that name no agent and whose inbox names none.'),
      select: { organization: { select: { defaultAgentId: true } } },
      resolve: ({ id, organization }) => id === organization.defaultAgentId,
    }),
  }),
});
