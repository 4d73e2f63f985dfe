import { changeState } from '../commands/change-state.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { sendControl } from '../commands/send-control.ts';
import {
  ConversationBusyError,
  ConversationEndedError,
  HandedOffError,
  IdempotencyMismatchError,
  VersionConflictError,
} from '../failures.ts';
import * as fields from './input-fields.ts';
import { ContentInput, MessageAction, StateInput } from './inputs.ts';
import { payload, withMessage, withReply } from './payloads.ts';

const SendControlInput = builder.inputType('SendControlInput', {
  description: 'At least one of `content`, `stateAfter` and `action: GENERATE_REPLY`.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    content: t.field({ type: ContentInput, description: 'What the agent should know.' }),
    metadata: t.field({ type: 'JSONObject', description: 'At most 64 KiB.' }),
    stateAfter: t.field({ type: StateInput, description: 'Steers the agent from this message on.' }),
    action: t.field({
      type: MessageAction,
      required: true,
      defaultValue: 'NONE',
      description: '`GENERATE_REPLY` has the agent speak without being asked.',
    }),
    runtimeParameters: fields.replyParameters(t),
    awaitReply: fields.awaitReply(t),
    onBusy: fields.onBusy(t),
    expectedVersion: fields.expectedVersion(t),
    idempotencyKey: fields.idempotencyKey(t),
  }),
});

const SendControlPayload = payload('SendControlPayload', 'The hidden message, committed.');
withMessage(SendControlPayload, 'The hidden message, committed.', { always: true });
withReply(SendControlPayload, 'Null with `action: NONE`.', { always: false });

builder.mutationField('sendControl', (t) =>
  t.field({
    type: SendControlPayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Adds a message that only agents and operators see; it may change the state and may force a reply.',
    errors: {
      types: [
        ConversationBusyError,
        VersionConflictError,
        ConversationEndedError,
        HandedOffError,
        NotFoundError,
        InvalidInputError,
        IdempotencyMismatchError,
      ],
      union: { name: 'SendControlResult', description: 'What `sendControl` comes to.' },
    },
    args: { input: t.arg({ type: SendControlInput, required: true, description: 'The message and its effects.' }) },
    resolve: (_root, { input }, { services, viewer }) => sendControl(services, viewer, input),
  }),
);

const ChangeStateInput = builder.inputType('ChangeStateInput', {
  description: 'The change and its guard.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    stateAfter: t.field({ type: StateInput, required: true, description: 'What is to hold from now on.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const ChangeStatePayload = payload('ChangeStatePayload', 'The state is in `conversation.state`.');

builder.mutationField('changeState', (t) =>
  t.field({
    type: ChangeStatePayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Changes the state without a message.',
    errors: {
      types: [ConversationBusyError, VersionConflictError, ConversationEndedError, NotFoundError, InvalidInputError],
      union: { name: 'ChangeStateResult', description: 'What `changeState` comes to.' },
    },
    args: { input: t.arg({ type: ChangeStateInput, required: true, description: 'The change.' }) },
    resolve: (_root, { input }, { services, viewer }) => changeState(services, viewer, input),
  }),
);
