import type { ConversationStatus } from '../../generated/prisma/enums.ts';

/**
 * Which command is allowed when. One row a command:
 *
 * - `ended`: what an ended conversation makes of it. `ENDED` refuses, `UNCHANGED` succeeds without a change, `OK` goes on.
 * - `running`: what a running reply makes of it. `BUSY` refuses, `SETTLE` stops the reply first, `OK` leaves it alone.
 * - `handedOff`: `HANDED_OFF` refuses; `OK` goes on, without a reply.
 * - `active`: `NOT_HANDED_OFF` refuses; `OK` goes on.
 *
 * Outcomes take precedence in the order of the columns, the version check between `running` and `handedOff`.
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
  changeState: { ended: 'ENDED', running: 'BUSY', handedOff: 'OK', active: 'OK' },
  regenerateReply: { ended: 'ENDED', running: 'BUSY', handedOff: 'HANDED_OFF', active: 'OK' },
  startHandoff: { ended: 'ENDED', running: 'SETTLE', handedOff: 'HANDED_OFF', active: 'OK' },
  acceptHandoff: { ended: 'ENDED', running: 'OK', handedOff: 'OK', active: 'NOT_HANDED_OFF' },
  endHandoff: { ended: 'ENDED', running: 'OK', handedOff: 'OK', active: 'NOT_HANDED_OFF' },
  endConversation: { ended: 'UNCHANGED', running: 'SETTLE', handedOff: 'OK', active: 'OK' },
  updateConversation: { ended: 'OK', running: 'OK', handedOff: 'OK', active: 'OK' },
  deleteConversation: { ended: 'OK', running: 'OK', handedOff: 'OK', active: 'OK' },
} as const satisfies Record<string, Rule>;

export type Command = keyof typeof transitions;

/** The rule of a command, with what the caller chose for a running reply in the commands that offer it. */
export function ruleFor(command: Command, onBusy: 'REJECT' | 'INTERRUPT' = 'REJECT'): Rule {
  const rule: Rule = transitions[command];
  return onBusy === 'INTERRUPT' && rule.running === 'BUSY' ? { ...rule, running: 'SETTLE' } : rule;
}

/** What a rule makes of a conversation. `SETTLE`: its running reply is to be stopped first. `UNCHANGED`: a success that changes nothing. */
export type Outcome =
  'OK' | 'UNCHANGED' | 'SETTLE' | 'NOT_FOUND' | 'ENDED' | 'BUSY' | 'VERSION' | 'HANDED_OFF' | 'NOT_HANDED_OFF';

/** What a decision reads of a conversation's row. */
export interface Standing {
  version: number;
  status: ConversationStatus;
  runningReplyId: string | null;
}

/** Decides from a row that is locked, as `lockAndDecide` of the one statement does in SQL; null for a conversation that is not there. */
export function decide(rule: Rule, row: Standing | null, expectedVersion: number | null | undefined): Outcome {
  if (!row) return 'NOT_FOUND';
  if (row.status === 'ENDED' && rule.ended !== 'OK') return rule.ended;
  if (row.runningReplyId !== null && rule.running !== 'OK') return rule.running;
  if (expectedVersion != null && expectedVersion !== row.version) return 'VERSION';
  if (row.status === 'HANDED_OFF' && rule.handedOff !== 'OK') return rule.handedOff;
  if (row.status === 'ACTIVE' && rule.active !== 'OK') return rule.active;
  return 'OK';
}
