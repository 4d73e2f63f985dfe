import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { createOperator } from '../commands/create.ts';
import { createOperatorToken, MAX_TOKEN_SECONDS } from '../commands/create-operator-token.ts';
import { setAvailability } from '../commands/set-availability.ts';
import { reinstateOperator, suspendOperator } from '../commands/suspend.ts';
import { updateOperator } from '../commands/update.ts';
import { OperatorSuspendedError } from '../failures.ts';
import { MAX_NAME } from '../model.ts';
import { AvailabilityRef, OperatorRef, OperatorRoleRef } from './operator.ts';

const descriptions = {
  operatorId: 'ID of the operator, `oper_…`.',
  name: `The name shown with their messages. At most ${MAX_NAME} bytes.`,
  email: 'Their email address. Each belongs to one operator of the organization. At most 254 bytes.',
  avatarUrl: 'A picture, shown with their messages.',
  current: 'The current operator. It may include later changes.',
};

/** A payload that holds the operator with this row id. */
function operatorPayload(name: string, description: string) {
  return builder.objectRef<{ operatorId: string }>(name).implement({
    description,
    fields: (t) => ({
      operator: t.prismaField({
        type: OperatorRef,
        description: descriptions.current,
        resolve: (query, { operatorId: id }, _args, { services }) =>
          services.prisma.operator.findUnique({ ...query, where: { id } }).then(present),
      }),
    }),
  });
}

const CreateOperatorInput = builder.inputType('CreateOperatorInput', {
  description: 'Only `name` is required.',
  fields: (t) => ({
    name: t.string({ required: true, description: descriptions.name }),
    email: t.string({ description: descriptions.email }),
    avatarUrl: t.field({ type: 'URL', description: descriptions.avatarUrl }),
    role: t.field({ type: OperatorRoleRef, required: true, defaultValue: 'AGENT', description: 'What they may do.' }),
  }),
});

builder.mutationField('createOperator', (t) =>
  t.field({
    type: operatorPayload('CreateOperatorPayload', 'The new operator.'),
    nullable: true,
    // Whoever allows an operator something may do it themselves.
    authScopes: { $all: { read: true, write: true, admin: true } },
    description: 'Creates an operator. Each call creates another one.',
    errors: {
      types: [InvalidInputError],
      union: { name: 'CreateOperatorResult', description: 'The result of `createOperator`.' },
    },
    args: { input: t.arg({ type: CreateOperatorInput, required: true, description: 'The operator to create.' }) },
    resolve: (_root, { input }, { services, viewer }) => createOperator(services, viewer, input),
  }),
);

const UpdateOperatorInput = builder.inputType('UpdateOperatorInput', {
  description: 'A field left out stays unchanged, and null clears it.',
  fields: (t) => ({
    operatorId: t.id({ required: true, description: descriptions.operatorId }),
    name: t.string({ description: `${descriptions.name} Cannot be null.` }),
    email: t.string({ description: descriptions.email }),
    avatarUrl: t.field({ type: 'URL', description: descriptions.avatarUrl }),
    role: t.field({
      type: OperatorRoleRef,
      description:
        'What they may do. Another role ends their sessions and tokens within a second. Who is no longer an `ADMIN` loses also what ' +
        'was made with them, as by `suspendOperator`. Cannot be null.',
    }),
  }),
});

builder.mutationField('updateOperator', (t) =>
  t.field({
    type: operatorPayload('UpdateOperatorPayload', 'The changed operator.'),
    nullable: true,
    authScopes: { $all: { read: true, write: true, admin: true } },
    description: 'Changes an operator. What they have written keeps the author as it was.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'UpdateOperatorResult', description: 'The result of `updateOperator`.' },
    },
    args: { input: t.arg({ type: UpdateOperatorInput, required: true, description: 'The changes.' }) },
    resolve: (_root, { input }, { services, viewer }) => updateOperator(services, viewer, input),
  }),
);

const SuspendOperatorInput = builder.inputType('SuspendOperatorInput', {
  description: 'The operator to suspend.',
  fields: (t) => ({ operatorId: t.id({ required: true, description: descriptions.operatorId }) }),
});

builder.mutationField('suspendOperator', (t) =>
  t.field({
    type: operatorPayload('SuspendOperatorPayload', 'The suspended operator.'),
    nullable: true,
    authScopes: { $all: { read: true, write: true, admin: true } },
    description:
      'Suspends an operator, who cannot sign in any more. Every server refuses their sessions and tokens, and the tokens that ' +
      'they have issued, within a second, and ends their sockets and streams. The API keys that they have made are revoked, with ' +
      'those that such keys have made, and such webhooks are off until another admin adopts them. A conversation that they have taken stays theirs ' +
      'until somebody takes it over. Suspending again is harmless.',
    errors: {
      types: [NotFoundError],
      union: { name: 'SuspendOperatorResult', description: 'The result of `suspendOperator`.' },
    },
    args: { input: t.arg({ type: SuspendOperatorInput, required: true, description: 'The operator to suspend.' }) },
    resolve: (_root, { input }, { services, viewer }) => suspendOperator(services, viewer, input),
  }),
);

const ReinstateOperatorInput = builder.inputType('ReinstateOperatorInput', {
  description: 'The operator to reinstate.',
  fields: (t) => ({ operatorId: t.id({ required: true, description: descriptions.operatorId }) }),
});

builder.mutationField('reinstateOperator', (t) =>
  t.field({
    type: operatorPayload('ReinstateOperatorPayload', 'The operator, who may sign in again.'),
    nullable: true,
    authScopes: { $all: { read: true, write: true, admin: true } },
    description: 'Lets a suspended operator sign in again. Sessions, tokens and keys that were ended stay ended.',
    errors: {
      types: [NotFoundError],
      union: { name: 'ReinstateOperatorResult', description: 'The result of `reinstateOperator`.' },
    },
    args: { input: t.arg({ type: ReinstateOperatorInput, required: true, description: 'The operator to reinstate.' }) },
    resolve: (_root, { input }, { services, viewer }) => reinstateOperator(services, viewer, input),
  }),
);

const CreateOperatorTokenInput = builder.inputType('CreateOperatorTokenInput', {
  description: 'Who the token is for, and how long it is valid.',
  fields: (t) => ({
    operatorId: t.id({ required: true, description: descriptions.operatorId }),
    expiresInSeconds: t.int({
      required: true,
      defaultValue: 900,
      description: `How long the token is valid: 1 to ${MAX_TOKEN_SECONDS} seconds, and not longer than your own credential.`,
    }),
  }),
});

const CreateOperatorTokenPayload = builder
  .objectRef<{ token: string; expiresAt: Date; operatorId: string }>('CreateOperatorTokenPayload')
  .implement({
    description: 'The new token.',
    fields: (t) => ({
      token: t.exposeString('token', {
        description: 'A JWT. Send it as `Authorization: Bearer`, or as `authorization` in the connection parameters.',
      }),
      expiresAt: t.expose('expiresAt', {
        type: 'DateTime',
        description: 'From this time on the token is refused, and its sockets are closed with 4440.',
      }),
      operator: t.prismaField({
        type: OperatorRef,
        description: descriptions.current,
        resolve: (query, { operatorId: id }, _args, { services }) =>
          services.prisma.operator.findUnique({ ...query, where: { id } }).then(present),
      }),
    }),
  });

builder.mutationField('createOperatorToken', (t) =>
  t.field({
    type: CreateOperatorTokenPayload,
    nullable: true,
    authScopes: { $all: { read: true, write: true, admin: true } },
    description:
      'Issues a short-lived token for an operator, for a page of your own in which they work. It ends when they are suspended or ' +
      'given another role, and with the API key or the operator that issued it.',
    errors: {
      types: [OperatorSuspendedError, InvalidInputError, NotFoundError],
      union: { name: 'CreateOperatorTokenResult', description: 'The result of `createOperatorToken`.' },
    },
    args: {
      input: t.arg({
        type: CreateOperatorTokenInput,
        required: true,
        description: 'Who the token is for, and how long it is valid.',
      }),
    },
    resolve: (_root, { input }, { services, viewer }) => createOperatorToken(services, viewer, input),
  }),
);

const SetAvailabilityInput = builder.inputType('SetAvailabilityInput', {
  description: 'Whether you take conversations now.',
  fields: (t) => ({
    availability: t.field({ type: AvailabilityRef, required: true, description: 'Your availability from now on.' }),
  }),
});

builder.mutationField('setAvailability', (t) =>
  t.field({
    type: operatorPayload('SetAvailabilityPayload', 'Yourself.'),
    nullable: true,
    authScopes: { answer: true },
    description: 'Says whether you take conversations now. It stays until you say otherwise, or are suspended.',
    errors: {
      types: [InvalidInputError],
      union: { name: 'SetAvailabilityResult', description: 'The result of `setAvailability`.' },
    },
    args: { input: t.arg({ type: SetAvailabilityInput, required: true, description: 'Your availability.' }) },
    resolve: (_root, { input }, { services, viewer }) => setAvailability(services, viewer, input),
  }),
);
