import { builder } from '../../graphql/builder.ts';
import type { Playbook, PlaybookPhase } from '../playbook.ts';

const PlaybookPhaseRef = builder.objectRef<PlaybookPhase>('PlaybookPhase').implement({
  description: 'One phase of a playbook.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'As `ConversationState.phase` names it.' }),
    instructions: t.exposeString('instructions', {
      description: "What the agent is told in this phase, after the playbook's own instructions.",
    }),
    next: t.exposeStringList('next', { description: 'Names of the phases it may lead to.' }),
  }),
});

export const PlaybookRef = builder.objectRef<Playbook>('Playbook').implement({
  description: 'Named instructions, in phases.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'As `ConversationState.playbook` names it.' }),
    instructions: t.exposeString('instructions', { description: 'What the agent is told in every phase.' }),
    phases: t.field({
      type: [PlaybookPhaseRef],
      description: 'In the order in which they were given.',
      resolve: ({ phases }) => phases,
    }),
  }),
});

const PlaybookPhaseInput = builder.inputType('PlaybookPhaseInput', {
  description: 'One phase of a playbook.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1 to 100 characters, another one for each phase of the playbook.' }),
    instructions: t.string({
      required: true,
      defaultValue: '',
      description:
        "What the agent is told in this phase, after the playbook's own instructions. At most 20,000 characters.",
    }),
    next: t.stringList({
      required: true,
      defaultValue: [],
      description: 'Names of the phases of the same playbook that the agent may go to from here. At most 50.',
    }),
  }),
});

export const PlaybookInput = builder.inputType('PlaybookInput', {
  description: 'Named instructions, in phases.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1 to 100 characters, another one for each playbook of the agent.' }),
    instructions: t.string({
      required: true,
      defaultValue: '',
      description: 'What the agent is told in every phase. At most 20,000 characters.',
    }),
    phases: t.field({
      type: [PlaybookPhaseInput],
      required: true,
      defaultValue: [],
      description: 'At most 50. While a conversation is in none of them, the agent may go to any.',
    }),
  }),
});
