import { z } from 'zod';

const name = z.string().min(1).max(100);

const phaseSchema = z.strictObject({
  name,
  instructions: z.string().max(20_000),
  /** Names of the phases that the agent may go to from this one. */
  next: z.array(name).max(50),
});

/** Playbooks as stored in an agent's row. Names are unique, and `next` names phases of the same playbook. */
export const playbooksSchema = z
  .array(
    z
      .strictObject({ name, instructions: z.string().max(20_000), phases: z.array(phaseSchema).max(50) })
      .superRefine(({ phases }, context) => {
        const names = phases.map((phase) => phase.name);
        for (const [index, phase] of phases.entries()) {
          if (names.indexOf(phase.name) < index)
            refuse(context, ['phases', index, 'name'], 'Is the name of another phase.');
          for (const [place, next] of phase.next.entries()) {
            if (!names.includes(next))
              refuse(context, ['phases', index, 'next', place], 'Names no phase of this playbook.');
          }
        }
      }),
  )
  .max(50)
  .superRefine((playbooks, context) => {
    const names = playbooks.map((playbook) => playbook.name);
    for (const [index, playbook] of playbooks.entries()) {
      if (names.indexOf(playbook.name) < index) refuse(context, [index, 'name'], 'Is the name of another playbook.');
    }
  });

/** Named instructions, divided into phases. */
export type Playbook = z.infer<typeof playbooksSchema>[number];

/** One phase of a playbook. */
export type PlaybookPhase = Playbook['phases'][number];

/** An agent's playbooks from its row. */
export function readPlaybooks(stored: unknown): Playbook[] {
  return playbooksSchema.parse(stored);
}

/** The phases that the agent may go to: those named by its present phase, or any if it is in no phase. */
export function nextPhases(playbook: Playbook, phase: string | null): PlaybookPhase[] {
  const current = playbook.phases.find(({ name }) => name === phase);
  return current ? playbook.phases.filter(({ name }) => current.next.includes(name)) : playbook.phases;
}

/** The instructions of a playbook in one of its phases. */
export function playbookInstructions(playbook: Playbook, phase: string | null): string {
  const current = playbook.phases.find(({ name }) => name === phase);
  return [playbook.instructions, current?.instructions].filter(Boolean).join('\n\n');
}

function refuse(context: z.RefinementCtx, path: PropertyKey[], message: string): void {
  context.addIssue({ code: 'custom', path, message });
}
