import { builder } from '../../graphql/builder.ts';
import type { Playbook, PlaybookPhase } from '../playbook.ts';

const PlaybookPhaseRef = builder.objectRef<PlaybookPhase>('PlaybookPhase').implement({
  description: 'One phase of a playbook.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the phase, used in `ConversationState.phase`.' }),
    instructions: t.exposeString('instructions', {
      description: "Instructions for the agent in this phase, given after the playbook's own.",
    }),
    next: t.exposeStringList('next', { description: 'Names of the phases that the agent may go to from this one.' }),
  }),
});

export const PlaybookRef = builder.objectRef<Playbook>('Playbook').implement({
  description: 'Named instructions, divided into phases.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the playbook, used in `ConversationState.playbook`.' }),
    instructions: t.exposeString('instructions', { description: 'Instructions for the agent in every phase.' }),
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
    name: t.string({ required: true, description: '1 to 100 characters. Unique within the playbook.' }),
    instructions: t.string({
      required: true,
      defaultValue: '',
      description:
        "Instructions for the agent in this phase, given after the playbook's own. At most 20,000 characters.",
    }),
    next: t.stringList({
      required: true,
      defaultValue: [],
      description: 'Names of the phases of the same playbook that the agent may go to from this one. At most 50.',
    }),
  }),
});

export const PlaybookInput = builder.inputType('PlaybookInput', {
  description: 'Named instructions, divided into phases.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1 to 100 characters. Unique within the agent.' }),
    instructions: t.string({
      required: true,
      defaultValue: '',
      description: 'Instructions for the agent in every phase. At most 20,000 characters.',
    }),
    phases: t.field({
      type: [PlaybookPhaseInput],
      required: true,
      defaultValue: [],
      description: 'At most 50. While a conversation is in no phase, the agent may go to any of them.',
    }),
  }),
});
