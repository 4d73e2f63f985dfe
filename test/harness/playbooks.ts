import type { Playbook } from '../../src/agents/playbook.ts';

/** A playbook with these phases, each of which leads to all of them. */
export function playbook(name: string, ...phases: string[]): Playbook {
  return {
    name,
    instructions: `Follow ${name}.`,
    phases: phases.map((phase) => ({ name: phase, instructions: `Do what ${phase} says.`, next: phases })),
  };
}
