import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { OperatorSuspendedError } from '../../operators/failures.ts';
import { takeOver } from '../commands/take-over.ts';
import { transferHandoff } from '../commands/transfer-handoff.ts';
import { ConversationEndedError, HandedOffError, NotHandedOffError, VersionConflictError } from '../failures.ts';
import { fields } from './inputs.ts';
import { payload, withHandoff } from './payloads.ts';

const HandoffHolderInput = builder.inputType('HandoffHolderInput', {
  description: 'Who has a handoff. Give exactly one field.',
  isOneOf: true,
  fields: (t) => ({
    operatorId: t.id({ description: 'This operator, `oper_…`.' }),
    assignee: t.string({ description: 'Whoever a program has named as `assignee`. At most 1 KiB.' }),
  }),
});

const TakeOverInput = builder.inputType('TakeOverInput', {
  description: 'The conversation to take.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    expectedHolder: t.field({
      type: HandoffHolderInput,
      description: 'Take it also from this one. Left out: only if nobody has it.',
    }),
    reason: t.string({ description: 'For operators, if a handoff begins. At most 1 KiB.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const TakeOverPayload = payload('TakeOverPayload', 'The handoff that you have.');
withHandoff(TakeOverPayload);

builder.mutationField('takeOver', (t) =>
  t.field({
    type: TakeOverPayload,
    nullable: true,
    authScopes: { answer: true },
    description:
      'You take the conversation: a handoff begins, and a running reply is stopped; or you accept the handoff that waits; or you ' +
      'take it from `expectedHolder`, whose handoff ends while yours begins. If somebody else has it, the result is a ' +
      '`HandedOffError` that names them. Of two who take it at once one has it. Does nothing if you have it already.',
    errors: {
      types: [HandedOffError, VersionConflictError, ConversationEndedError, NotFoundError, InvalidInputError],
      union: { name: 'TakeOverResult', description: 'The result of `takeOver`.' },
    },
    args: { input: t.arg({ type: TakeOverInput, required: true, description: 'The conversation to take.' }) },
    resolve: (_root, { input }, { services, viewer }) => takeOver(services, viewer, input),
  }),
);

const HandoffTarget = builder.inputType('HandoffTarget', {
  description: 'Who is to have a conversation. Give exactly one field.',
  isOneOf: true,
  fields: (t) => ({
    operatorId: t.id({ description: 'This operator, `oper_…`, at once.' }),
    queue: t.string({ description: 'Whoever of this group takes it. It waits until then. At most 1 KiB.' }),
  }),
});

const TransferHandoffInput = builder.inputType('TransferHandoffInput', {
  description: 'The conversation to hand on, and to whom.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    to: t.field({ type: HandoffTarget, required: true, description: 'Who is to have it.' }),
    reason: t.string({ description: 'For operators. Left out: that of the present handoff. At most 1 KiB.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const TransferHandoffPayload = payload('TransferHandoffPayload', 'The handoff that is in force now.');
withHandoff(TransferHandoffPayload);

builder.mutationField('transferHandoff', (t) =>
  t.field({
    type: TransferHandoffPayload,
    nullable: true,
    authScopes: { write: true, answer: true },
    description:
      'Hands the conversation on: its handoff ends and another begins, and the agent stays silent in between. An operator of the ' +
      'role `AGENT` hands on what waits or what they have; anything else is a `HandedOffError`.',
    errors: {
      types: [
        HandedOffError,
        NotHandedOffError,
        VersionConflictError,
        ConversationEndedError,
        NotFoundError,
        InvalidInputError,
        OperatorSuspendedError,
      ],
      union: { name: 'TransferHandoffResult', description: 'The result of `transferHandoff`.' },
    },
    args: {
      input: t.arg({ type: TransferHandoffInput, required: true, description: 'What to hand on, and to whom.' }),
    },
    resolve: (_root, { input }, { services, viewer }) =>
      transferHandoff(services, viewer, input, { holdsOnly: !viewer.scopes.includes('write') }),
  }),
);
