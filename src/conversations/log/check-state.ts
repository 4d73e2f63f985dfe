import type { Queryable } from '../../db.ts';
import { InvalidInputError } from '../../errors.ts';
import type { State, StatePatch } from '../model.ts';

/** Whether a change of state has to be checked against the agent's playbooks. */
export function needsPlaybooks({ playbook, phase }: StatePatch): boolean {
  const strandsPhase = playbook === null && phase === undefined;
  return playbook != null || phase != null || strandsPhase;
}

/**
 * Why a change of state is invalid, or null. Its playbook must be one of the agent's, and the phase after the change must
 * belong to the playbook after the change. `path` is the place of the patch in the input.
 */
export async function checkState(
  db: Queryable,
  agentId: string,
  patch: StatePatch,
  { path, before }: { path: string; before: Pick<State, 'playbook' | 'phase'> },
): Promise<InvalidInputError | null> {
  if (!needsPlaybooks(patch)) return null;
  const { playbook = before.playbook, phase = before.phase } = patch;
  const { rows } = await db.query<{ hasPlaybook: boolean; hasPhase: boolean }>({
    name: 'check-state',
    text: 'SELECT playbooks @> $2::jsonb AS "hasPlaybook", playbooks @> $3::jsonb AS "hasPhase" FROM agent WHERE id = $1',
    values: [
      agentId,
      JSON.stringify([{ name: playbook }]),
      JSON.stringify([{ name: playbook, phases: [{ name: phase }] }]),
    ],
  });
  const agent = rows[0];
  if (patch.playbook != null && !agent?.hasPlaybook) {
    return refusal([path, 'playbook'], 'Is not the name of a playbook of the agent.');
  }
  if (phase === null || agent?.hasPhase) return null;
  return refusal([path, 'phase'], patch.phase == null ? strandedPhase(phase) : unknownPhase(playbook));
}

function strandedPhase(phase: string): string {
  const where = `The conversation is in the phase ${JSON.stringify(phase)}, which is none of the playbook given.`;
  return `${where} Give a phase of that playbook with it, or null.`;
}

function unknownPhase(playbook: string | null): string {
  if (playbook === null) return 'Is a phase of no playbook: give the playbook with it.';
  return `Is not the name of a phase of the playbook ${JSON.stringify(playbook)}.`;
}

function refusal(path: string[], detail: string): InvalidInputError {
  return new InvalidInputError([{ path, code: 'NOT_FOUND', detail }]);
}
