import type { Json, JsonObject } from '../json.ts';
import { readTools } from './http-tool.ts';
import { readPlaybooks } from './playbook.ts';
import type { Turn, TurnMessage } from './runtime.ts';

/** What a turn is made of, as the rows hold it. */
export interface TurnSource {
  agentName: string;
  agentPrompt: string | null;
  conversationPrompt: string | null;
  greeting: string | null;
  playbook: string | null;
  phase: string | null;
  systemMessage: string | null;
  context: Json;
  playbooks: unknown;
  tools: unknown;
  history: TurnMessage[];
  parameters: JsonObject;
  corpusId: string | null;
}

/** What a runtime is given. Throws when the agent's row holds what no agent can have. */
export function turnOf(source: TurnSource): Turn {
  const { agentName, greeting, playbook, phase, systemMessage, context, history, parameters, corpusId } = source;
  return {
    agentName,
    systemPrompt: [source.agentPrompt, source.conversationPrompt].filter(Boolean).join('\n\n') || null,
    greeting,
    state: { playbook, phase, systemMessage, context },
    playbook: readPlaybooks(source.playbooks).find(({ name }) => name === playbook) ?? null,
    tools: readTools(source.tools),
    history,
    parameters,
    corpusId,
  };
}
