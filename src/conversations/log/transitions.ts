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
