import type { Json, JsonObject } from '../json.ts';
import { readTools } from './http-tool.ts';
import { readPlaybooks } from './playbook.ts';
import type { Turn, TurnMessage } from './runtime.ts';

/** The stored data that a turn is built from. */
export interface TurnSource {
  organizationId: string;
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

/** Builds the turn for a runtime. Throws if the agent's row is invalid. */
export function turnOf(source: TurnSource): Turn {
  const {
    organizationId,
    agentName,
    greeting,
    playbook,
    phase,
    systemMessage,
    context,
    history,
    parameters,
    corpusId,
  } = source;
  return {
    organizationId,
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
