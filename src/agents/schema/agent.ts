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
  description: "What generates an agent's replies. Not an enum: an installation can add runtimes of its own.",
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the runtime, such as `knowledge` or `model`.' }),
    parametersSchema: t.field({
      type: 'JSONObject',
      description: 'The JSON Schema that runtime parameters must match.',
      resolve: (runtime) => runtime.parametersSchema,
    }),
  }),
});

export const AgentRef = builder.prismaNode('Agent', {
  description: 'Answers in conversations: a name, a runtime and instructions.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).agent }),
  fields: (t) => ({
    name: t.exposeString('name', { description: "Shown to people as the author of the agent's messages." }),
    runtime: t.field({
      type: AgentRuntimeRef,
      ...operatorsOnly(),
      resolve: (agent, _args, { services }) =>
        services.runtimes.get(agent.runtime) ?? { name: agent.runtime, parametersSchema: {} },
    }),
    systemPrompt: t.exposeString('systemPrompt', {
      ...operatorsOnly('Null if there is none.'),
    }),
    greeting: t.exposeString('greeting', {
      ...operatorsOnly(
        'What the agent says when it speaks first and its runtime writes no greeting of its own. Null if there is none.',
      ),
    }),
    defaultRuntimeParameters: t.field({
      type: 'JSONObject',
      ...operatorsOnly('Used for each reply unless its conversation or its message overrides them.'),
      resolve: (agent): JsonObject =>
        isJsonObject(agent.defaultRuntimeParameters) ? agent.defaultRuntimeParameters : {},
    }),
    corpus: t.relation('corpus', operatorsOnly('Null if there is none.')),
    playbooks: t.field({
      type: [PlaybookRef],
      ...operatorsOnly('In the order in which they were given.'),
      resolve: ({ playbooks }) => readPlaybooks(playbooks),
    }),
    tools: t.field({
      type: [HttpToolRef],
      ...operatorsOnly("The agent's own tools. Those that every agent has are not listed."),
      resolve: ({ tools }) => readTools(tools),
    }),
    isDefault: t.boolean({
      ...operatorsOnly(
        'Whether this agent answers conversations for which neither they nor their inbox name an agent.',
      ),
      select: { organization: { select: { defaultAgentId: true } } },
      resolve: ({ id, organization }) => id === organization.defaultAgentId,
    }),
  }),
});
