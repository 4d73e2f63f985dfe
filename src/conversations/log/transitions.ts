import type { ConversationStatus } from '../../generated/prisma/enums.ts';

/**
 * Which command is allowed when. One row per command:
 *
 * - `ended`: if the conversation has ended. `ENDED` refuses, `UNCHANGED` succeeds without a change, `OK` proceeds.
 * - `running`: if a reply is running. `BUSY` refuses, `SETTLE` stops the reply first, `OK` leaves it alone.
 * - `handedOff`: if a handoff is in force. `HANDED_OFF` refuses, `OK` proceeds without a reply.
 * - `active`: if the agent answers. `NOT_HANDED_OFF` refuses, `OK` proceeds.
 *
 * Outcomes take precedence in the order of the columns. The version is checked between `running` and `handedOff`.
 */
export interface Rule {
  ended: 'ENDED' | 'UNCHANGED' | 'OK';
  running: 'BUSY' | 'SETTLE' | 'OK';
  handedOff: 'HANDED_OFF' | 'OK';
  active: 'NOT_HANDED_OFF' | 'OK';
}

export const transitions = {
  sendMessage: { ended: 'ENDED', running: 'BUSY', handedOff: 'OK', active: 'OK' },
  addAgentMessage: { ended: 'ENDED', running: 'BUSY', handedOff: 'OK', active: 'OK' },
  sendControl: { ended: 'ENDED', running: 'BUSY', handedOff: 'OK', active: 'OK' },
  sendControlForReply: { ended: 'ENDED', running: 'BUSY', handedOff: 'HANDED_OFF', active: 'OK' },
  addNote: { ended: 'OK', running: 'OK', handedOff: 'OK', active: 'OK' },
  changeState: { ended: 'ENDED', running: 'BUSY', handedOff: 'OK', active: 'OK' },
  regenerateReply: { ended: 'ENDED', running: 'BUSY', handedOff: 'HANDED_OFF', active: 'OK' },
  startHandoff: { ended: 'ENDED', running: 'SETTLE', handedOff: 'HANDED_OFF', active: 'OK' },
  acceptHandoff: { ended: 'ENDED', running: 'OK', handedOff: 'OK', active: 'NOT_HANDED_OFF' },
  takeOver: { ended: 'ENDED', running: 'SETTLE', handedOff: 'OK', active: 'OK' },
  transferHandoff: { ended: 'ENDED', running: 'OK', handedOff: 'OK', active: 'NOT_HANDED_OFF' },
  answer: { ended: 'ENDED', running: 'BUSY', handedOff: 'OK', active: 'NOT_HANDED_OFF' },
  endHandoff: { ended: 'ENDED', running: 'OK', handedOff: 'OK', active: 'NOT_HANDED_OFF' },
  endConversation: { ended: 'UNCHANGED', running: 'SETTLE', handedOff: 'OK', active: 'OK' },
  updateConversation: { ended: 'OK', running: 'OK', handedOff: 'OK', active: 'OK' },
  rateReply: { ended: 'OK', running: 'OK', handedOff: 'OK', active: 'OK' },
  deleteConversation: { ended: 'OK', running: 'OK', handedOff: 'OK', active: 'OK' },
} as const satisfies Record<string, Rule>;

export type Command = keyof typeof transitions;

/** The rule of a command, with the caller's `onBusy` applied if the command offers it. */
export function ruleFor(command: Command, onBusy: 'REJECT' | 'INTERRUPT' = 'REJECT'): Rule {
  const rule: Rule = transitions[command];
  return onBusy === 'INTERRUPT' && rule.running === 'BUSY' ? { ...rule, running: 'SETTLE' } : rule;
}

/** The result of applying a rule to a conversation. `SETTLE`: stop its running reply first. `UNCHANGED`: a success without a change. */
export type Outcome =
  'OK' | 'UNCHANGED' | 'SETTLE' | 'NOT_FOUND' | 'ENDED' | 'BUSY' | 'VERSION' | 'HANDED_OFF' | 'NOT_HANDED_OFF';

/** The columns of a conversation that a decision reads. */
export interface Standing {
  version: number;
  status: ConversationStatus;
  runningReplyId: string | null;
}

/** Decides from a locked row, as `lockAndDecide` of the one statement does in SQL. The row is null if there is no such conversation. */
export function decide(rule: Rule, row: Standing | null, expectedVersion: number | null | undefined): Outcome {
  if (!row) return 'NOT_FOUND';
  if (row.status === 'ENDED' && rule.ended !== 'OK') return rule.ended;
  if (row.runningReplyId !== null && rule.running !== 'OK') return rule.running;
  if (expectedVersion != null && expectedVersion !== row.version) return 'VERSION';
  if (row.status === 'HANDED_OFF' && rule.handedOff !== 'OK') return rule.handedOff;
  if (row.status === 'ACTIVE' && rule.active !== 'OK') return rule.active;
  return 'OK';
}
