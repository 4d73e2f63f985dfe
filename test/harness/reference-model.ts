/** What steers the agent. */
export interface ModelState {
  playbook: string | null;
  phase: string | null;
  systemMessage: string | null;
  context: unknown;
}

/** The agent's playbooks, each with its phases. */
export const playbooks: Partial<Record<string, readonly string[]>> = {
  sales: ['opening', 'closing'],
  support: ['opening', 'solving'],
};

export type OnBusy = 'REJECT' | 'INTERRUPT';
export type Action = 'GENERATE_REPLY' | 'NONE';

interface Says {
  text: string;
  onBusy: OnBusy;
  stateAfter: Partial<ModelState> | null;
}

/** A command, with all that its outcome depends on. */
export type ModelCommand = { expectedVersion: number | null } & (
  | ({ type: 'sendMessage'; action: Action } & Says)
  | ({ type: 'addAgentMessage' } & Says)
  | ({ type: 'sendControl'; action: Action } & Says)
  | { type: 'changeState'; stateAfter: Partial<ModelState> }
  | { type: 'regenerateReply'; replyId: string }
  | { type: 'stopReply'; replyId: string }
  | { type: 'startHandoff'; assignee: string | null }
  | { type: 'acceptHandoff'; assignee: string }
  | { type: 'endHandoff' }
  | { type: 'endConversation' }
  | { type: 'updateConversation'; title: string }
  | { type: 'deleteConversation' }
);

/** A row of the log. `begins` tells a reply that will be generated from a message that is complete. */
export interface ModelEvent {
  version: number;
  type: string;
  begins: boolean;
  messageId: string | null;
  handoffId: string | null;
  data: { before: ModelState; after: ModelState } | null;
}

/** A conversation after one of its versions. */
export interface Model {
  version: number;
  status: 'ACTIVE' | 'HANDED_OFF' | 'ENDED' | 'DELETED';
  state: ModelState;
  /** The running reply. */
  running: string | null;
  /** The latest message, control messages aside, if it is a reply that was generated. */
  latestReply: string | null;
  /** The handoff in force. */
  handoff: { id: string | null; assignee: string | null } | null;
  /** Messages of the roles USER and AGENT. */
  messageCount: number;
  /** Messages of any role. */
  length: number;
  title: string | null;
}

/** A failure by its name, or the events that are added to the log; replies have names of their own here. */
export type Outcome = { failure: string } | { events: string[] };

/** As `createConversation` leaves it with nothing but a state. */
export function newModel(state: ModelState): Model {
  return {
    version: 1,
    status: 'ACTIVE',
    state,
    running: null,
    latestReply: null,
    handoff: null,
    messageCount: 0,
    length: 0,
    title: null,
  };
}

/** What a command comes to, by the rules as they are written for people. */
export function decide(model: Model, command: ModelCommand): Outcome {
  const { status, running } = model;
  const stale = command.expectedVersion !== null && command.expectedVersion !== model.version;
  const stopped = running === null ? [] : ['ReplyEnded'];
  if (status === 'DELETED') return { failure: 'NotFoundError' };

  switch (command.type) {
    case 'stopReply':
      return { events: running === command.replyId ? ['ReplyEnded'] : [] };
    case 'deleteConversation':
      return stale ? { failure: 'VersionConflictError' } : { events: ['ConversationDeleted'] };
    case 'updateConversation':
      if (stale) return { failure: 'VersionConflictError' };
      return { events: command.title === model.title ? [] : ['ConversationUpdated'] };
    case 'endConversation':
      if (status === 'ENDED') return { events: [] };
      if (stale) return { failure: 'VersionConflictError' };
      return { events: [...stopped, ...(model.handoff ? ['HandoffEnded'] : []), 'ConversationEnded'] };
    default:
      break;
  }

  if (status === 'ENDED') return { failure: 'ConversationEndedError' };
  const interrupts = 'onBusy' in command && command.onBusy === 'INTERRUPT';
  const ignoresReply = ['startHandoff', 'acceptHandoff', 'endHandoff'].includes(command.type);
  if (running !== null && !interrupts && !ignoresReply) return { failure: 'ConversationBusyError' };
  if (stale) return { failure: 'VersionConflictError' };

  switch (command.type) {
    case 'startHandoff':
      return model.handoff ? { failure: 'HandedOffError' } : { events: [...stopped, 'HandoffStarted'] };
    case 'acceptHandoff':
      if (!model.handoff) return { failure: 'NotHandedOffError' };
      if (model.handoff.assignee === null) return { events: ['HandoffAccepted'] };
      return model.handoff.assignee === command.assignee ? { events: [] } : { failure: 'HandedOffError' };
    case 'endHandoff':
      return model.handoff ? { events: ['HandoffEnded'] } : { failure: 'NotHandedOffError' };
    case 'regenerateReply':
      if (model.handoff) return { failure: 'HandedOffError' };
      return model.latestReply === command.replyId ? { events: ['ReplyBegun'] } : { failure: 'InvalidInputError' };
    case 'changeState':
      if (leadsNowhere(model, command.stateAfter)) return { failure: 'InvalidInputError' };
      return { events: steers(model, command.stateAfter) };
    case 'addAgentMessage':
      if (leadsNowhere(model, command.stateAfter)) return { failure: 'InvalidInputError' };
      return { events: [...stopped, 'MessageCreated', ...steers(model, command.stateAfter)] };
    case 'sendControl':
      if (model.handoff && command.action === 'GENERATE_REPLY') return { failure: 'HandedOffError' };
      break;
    case 'sendMessage':
      break;
  }
  if (leadsNowhere(model, command.stateAfter)) return { failure: 'InvalidInputError' };
  const answers = command.action === 'GENERATE_REPLY' && !model.handoff;
  const said = ['MessageCreated', ...steers(model, command.stateAfter)];
  return { events: [...stopped, ...said, ...(answers ? ['ReplyBegun'] : [])] };
}

/** Whether the state would name a playbook that the agent does not have, or a phase that the playbook does not have. */
function leadsNowhere({ state }: Model, patch: Partial<ModelState> | null): boolean {
  const { playbook, phase } = { ...state, ...patch };
  const phases = playbook === null ? [] : playbooks[playbook];
  return !phases || (phase !== null && !phases.includes(phase));
}

function steers({ state }: Model, patch: Partial<ModelState> | null): string[] {
  return JSON.stringify({ ...state, ...patch }) === JSON.stringify(state) ? [] : ['StateChanged'];
}

/** The name of an event as outcomes have it. */
export function nameOf({ type, begins }: ModelEvent): string {
  if (type === 'MessageCompleted') return 'ReplyEnded';
  return type === 'MessageCreated' && begins ? 'ReplyBegun' : type;
}

/**
 * The conversation after its next event, which the command `by` made; null when the reply ended by itself. Throws when
 * there can be no such event now.
 */
export function replay(model: Model, event: ModelEvent, by: ModelCommand | null): Model {
  const impossible = (why: string) => new Error(`${event.type} at version ${event.version}: ${why}`);
  if (event.version !== model.version + 1) throw impossible(`follows version ${model.version}`);
  const next = { ...model, version: event.version };
  switch (nameOf(event)) {
    case 'ReplyBegun':
      if (model.running !== null) throw impossible('another reply is running');
      if (model.status !== 'ACTIVE') throw impossible(`the conversation is ${model.status}`);
      return {
        ...next,
        running: event.messageId,
        latestReply: event.messageId,
        messageCount: model.messageCount + 1,
        length: model.length + 1,
      };
    case 'ReplyEnded':
      if (model.running === null || model.running !== event.messageId) throw impossible('that reply is not running');
      return { ...next, running: null };
    case 'MessageCreated': {
      if (model.running !== null) throw impossible('a reply is running');
      if (by?.type === 'sendControl') return { ...next, length: model.length + 1 };
      const isTitled = model.title !== null || model.messageCount > 1 || by?.type !== 'sendMessage';
      const title = isTitled ? model.title : by.text;
      return { ...next, title, latestReply: null, messageCount: model.messageCount + 1, length: model.length + 1 };
    }
    case 'StateChanged':
      if (JSON.stringify(ordered(event.data?.before)) !== JSON.stringify(model.state))
        throw impossible('another state');
      return { ...next, state: ordered(event.data?.after) ?? model.state };
    case 'HandoffStarted':
      if (model.handoff || model.running !== null) throw impossible('a handoff or a reply is under way');
      return {
        ...next,
        status: 'HANDED_OFF',
        handoff: { id: event.handoffId, assignee: by?.type === 'startHandoff' ? by.assignee : null },
      };
    case 'HandoffAccepted':
      if (!model.handoff || model.handoff.assignee !== null) throw impossible('nobody is awaited');
      return {
        ...next,
        handoff: { ...model.handoff, assignee: by?.type === 'acceptHandoff' ? by.assignee : null },
      };
    case 'HandoffEnded':
      if (!model.handoff || model.handoff.id !== event.handoffId) throw impossible('that handoff is not in force');
      return { ...next, status: 'ACTIVE', handoff: null };
    case 'ConversationEnded':
      if (model.status !== 'ACTIVE' || model.running !== null) throw impossible(`the conversation is ${model.status}`);
      return { ...next, status: 'ENDED' };
    case 'ConversationUpdated':
      return { ...next, title: by?.type === 'updateConversation' ? by.title : model.title };
    case 'ConversationDeleted':
      return { ...next, status: 'DELETED', running: null, handoff: null };
    default:
      throw impossible('unknown');
  }
}

/** The state with its fields in one order, as PostgreSQL does not keep them. */
export function ordered(state: ModelState | undefined): ModelState | undefined {
  if (!state) return undefined;
  const { playbook, phase, systemMessage, context } = state;
  return { playbook, phase, systemMessage, context };
}
