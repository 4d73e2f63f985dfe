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
import { ContentInput, MessageAction, StateInput, fields } from './inputs.ts';
import { payload, withMessage, withReply } from './payloads.ts';

const SendControlInput = builder.inputType('SendControlInput', {
  description: 'At least one of `content`, `stateAfter` and `action: GENERATE_REPLY` is required.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    content: t.field({ type: ContentInput, description: 'What to tell the agent.' }),
    metadata: t.field({ type: 'JSONObject', description: 'At most 64 KiB.' }),
    stateAfter: t.field({ type: StateInput, description: 'The state of the conversation from this message on.' }),
    action: t.field({
      type: MessageAction,
      required: true,
      defaultValue: 'NONE',
      description: '`GENERATE_REPLY` makes the agent speak although no end user has written.',
    }),
    runtimeParameters: fields.replyParameters(t),
    awaitReply: fields.awaitReply(t),
    onBusy: fields.onBusy(t),
    expectedVersion: fields.expectedVersion(t),
    idempotencyKey: fields.idempotencyKey(t),
  }),
});

const SendControlPayload = payload('SendControlPayload', 'The committed message, hidden from end users.');
withMessage(SendControlPayload, 'The committed message, hidden from end users.', { always: true });
withReply(SendControlPayload, 'The new reply. Null with `action: NONE`.', { always: false });

builder.mutationField('sendControl', (t) =>
  t.field({
    type: SendControlPayload,
    nullable: true,
    authScopes: { write: true },
    description:
      'Adds a message that only agents and operators see. It can also change the state and make the agent reply.',
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
      union: { name: 'SendControlResult', description: 'The result of `sendControl`.' },
    },
    args: { input: t.arg({ type: SendControlInput, required: true, description: 'The message, and what it causes.' }) },
    resolve: (_root, { input }, { services, viewer }) => sendControl(services, viewer, input),
  }),
);

const ChangeStateInput = builder.inputType('ChangeStateInput', {
  description: 'The change of state.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    stateAfter: t.field({ type: StateInput, required: true, description: 'The state from now on.' }),
    expectedVersion: fields.expectedVersion(t),
  }),
});

const ChangeStatePayload = payload('ChangeStatePayload', 'The new state is in `conversation.state`.');

builder.mutationField('changeState', (t) =>
  t.field({
    type: ChangeStatePayload,
    nullable: true,
    authScopes: { write: true },
    description: 'Changes the state without adding a message.',
    errors: {
      types: [ConversationBusyError, VersionConflictError, ConversationEndedError, NotFoundError, InvalidInputError],
      union: { name: 'ChangeStateResult', description: 'The result of `changeState`.' },
    },
    args: { input: t.arg({ type: ChangeStateInput, required: true, description: 'The change.' }) },
    resolve: (_root, { input }, { services, viewer }) => changeState(services, viewer, input),
  }),
);
