import { builder } from '../../graphql/builder.ts';
import { asJson, type JsonObject } from '../../json.ts';
import type { State } from '../model.ts';

export const ConversationStateRef = builder.objectRef<State>('ConversationState').implement({
  description: 'Information that steers the agent. End users do not see it.',
  fields: (t) => ({
    playbook: t.exposeString('playbook', { nullable: true, description: "The name of one of the agent's playbooks." }),
    phase: t.exposeString('phase', { nullable: true, description: 'The name of a phase of that playbook.' }),
    systemMessage: t.exposeString('systemMessage', {
      nullable: true,
      description: "Replaces the playbook's instructions.",
    }),
    context: t.field({
      type: 'JSON',
      nullable: true,
      description: 'Any further information for the agent.',
      resolve: (state) => state.context,
    }),
  }),
});

/** A state from its stored form. */
export function stateOf(json: Record<keyof State, unknown> | JsonObject): State {
  const text = (value: unknown) => (typeof value === 'string' ? value : null);
  return {
    playbook: text(json.playbook),
    phase: text(json.phase),
    systemMessage: text(json.systemMessage),
    context: asJson(json.context),
  };
}
