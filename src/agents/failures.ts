import { UserError } from '../errors.ts';

/** Why an agent cannot be deleted, in words. */
const uses = {
  CONVERSATIONS: 'it has conversations',
  INBOXES: 'an inbox leads to it',
  DEFAULT_AGENT: "it is the organization's default agent",
} as const;

export type AgentUse = keyof typeof uses;

/** The agent is still in use, so it cannot be deleted. */
export class AgentInUseError extends UserError {
  override name = 'AgentInUseError';
  readonly agentId: string;
  readonly usedBy: AgentUse[];

  constructor(agentId: string, usedBy: AgentUse[]) {
    super(`The agent cannot be deleted: ${usedBy.map((use) => uses[use]).join(', and ')}.`);
    this.agentId = agentId;
    this.usedBy = usedBy;
  }
}
