import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { encodeId } from '../../ids.ts';
import { createWebhook } from '../commands/create.ts';
import { deleteWebhook } from '../commands/delete.ts';
import { rotateSecret } from '../commands/rotate-secret.ts';
import { updateWebhook } from '../commands/update.ts';
import { WebhookEventRef } from './event.ts';
import { WebhookRef, WebhookStatusRef } from './webhook.ts';

export const webhookIdDescription = 'ID of the webhook, `webhook_…`.';
const urlDescription =
  'Where to send to: `https:`, at a public address, without user name and password. Redirects are not followed.';
const eventsDescription = 'Which events. Empty: all, also those of later releases.';
const selectionDescription =
  'What is sent: a selection on `ConversationEvent` in braces, with the fragments that it uses after it. It is checked like a ' +
  'query, with the same limits, and read with the rights of your API key. At most 16,384 characters; what it reads of one ' +
  'event, at most 256 KiB.';

/** A payload with the webhook that has this row id. */
export function webhookPayload(name: string, description: string) {
  return builder.objectRef<{ webhookId: string }>(name).implement({
    description,
    fields: (t) => ({
      webhook: t.prismaField({
        type: WebhookRef,
        description: 'The current webhook.',
        resolve: (query, { webhookId: id }, _args, { services }) =>
          services.prisma.webhook.findUnique({ ...query, where: { id } }).then(present),
      }),
    }),
  });
}

/** A payload that also shows a secret, the only time that it is shown. */
function secretPayload(name: string, description: string) {
  return builder.objectRef<{ webhookId: string; secret: string }>(name).implement({
    description,
    fields: (t) => ({
      webhook: t.prismaField({
        type: WebhookRef,
        description: 'The current webhook.',
        resolve: (query, { webhookId: id }, _args, { services }) =>
          services.prisma.webhook.findUnique({ ...query, where: { id } }).then(present),
      }),
      secret: t.exposeString('secret', {
        description: 'The secret, `whsec_…`, which signs what is sent. Shown only once.',
      }),
    }),
  });
}

const CreateWebhookInput = builder.inputType('CreateWebhookInput', {
  description: 'Only `url` is required.',
  fields: (t) => ({
    url: t.field({ type: 'URL', required: true, description: urlDescription }),
    events: t.field({ type: [WebhookEventRef], required: true, defaultValue: [], description: eventsDescription }),
    selection: t.string({
      description: `${selectionDescription} Default: ids, versions, and what was written.`,
    }),
  }),
});

builder.mutationField('createWebhook', (t) =>
  t.field({
    type: secretPayload('CreateWebhookPayload', 'The new webhook.'),
    nullable: true,
    authScopes: { $all: { admin: true, read: true } },
    description:
      'Creates a webhook. It is sent what is committed from now on. An organization has at most 50. It is switched off when an ' +
      'operator who made it, or the API key that did, is suspended or no longer an admin.',
    errors: {
      types: [InvalidInputError],
      union: { name: 'CreateWebhookResult', description: 'The result of `createWebhook`.' },
    },
    args: { input: t.arg({ type: CreateWebhookInput, required: true, description: 'The webhook to create.' }) },
    resolve: (_root, { input }, { services, viewer }) => createWebhook(services, viewer, input),
  }),
);

const UpdateWebhookInput = builder.inputType('UpdateWebhookInput', {
  description: 'A field left out, or null, stays unchanged.',
  fields: (t) => ({
    webhookId: t.id({ required: true, description: webhookIdDescription }),
    url: t.field({
      type: 'URL',
      description: `${urlDescription} The webhook is read with the rights of your API key then.`,
    }),
    events: t.field({ type: [WebhookEventRef], description: eventsDescription }),
    selection: t.string({ description: selectionDescription }),
    status: t.field({
      type: WebhookStatusRef,
      description:
        '`ON` sends what still waits, then what is committed from now on. For what happened meanwhile see `replayWebhook`.',
    }),
    adopt: t.boolean({
      description:
        'True makes it yours: it is read with the rights of your credential from now on, and the key or the operator that made it may end.',
    }),
  }),
});

builder.mutationField('updateWebhook', (t) =>
  t.field({
    type: webhookPayload('UpdateWebhookPayload', 'The changed webhook.'),
    nullable: true,
    authScopes: { $all: { admin: true, read: true } },
    description: 'Changes a webhook, or switches it on or off. Payloads that were made already stay as they are.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'UpdateWebhookResult', description: 'The result of `updateWebhook`.' },
    },
    args: { input: t.arg({ type: UpdateWebhookInput, required: true, description: 'The changes.' }) },
    resolve: (_root, { input }, { services, viewer }) => updateWebhook(services, viewer, input),
  }),
);

const DeleteWebhookInput = builder.inputType('DeleteWebhookInput', {
  description: 'The webhook to delete.',
  fields: (t) => ({ webhookId: t.id({ required: true, description: webhookIdDescription }) }),
});

const DeleteWebhookPayload = builder.objectRef<{ webhookId: string }>('DeleteWebhookPayload').implement({
  description: 'The webhook is gone.',
  fields: (t) => ({
    deletedWebhookId: t.id({
      description: 'ID of the webhook that is gone, for removing it from caches.',
      resolve: ({ webhookId }) => encodeId('Webhook', webhookId),
    }),
  }),
});

builder.mutationField('deleteWebhook', (t) =>
  t.field({
    type: DeleteWebhookPayload,
    nullable: true,
    authScopes: { $all: { admin: true, read: true } },
    description: 'Deletes a webhook with its deliveries. What is being sent at this moment may still arrive.',
    errors: {
      types: [NotFoundError],
      union: { name: 'DeleteWebhookResult', description: 'The result of `deleteWebhook`.' },
    },
    args: { input: t.arg({ type: DeleteWebhookInput, required: true, description: 'The webhook to delete.' }) },
    resolve: (_root, { input }, { services, viewer }) => deleteWebhook(services, viewer, input),
  }),
);

const RotateWebhookSecretInput = builder.inputType('RotateWebhookSecretInput', {
  description: 'The webhook that is to have a new secret.',
  fields: (t) => ({ webhookId: t.id({ required: true, description: webhookIdDescription }) }),
});

builder.mutationField('rotateWebhookSecret', (t) =>
  t.field({
    type: secretPayload('RotateWebhookSecretPayload', 'The webhook has a new secret.'),
    nullable: true,
    authScopes: { $all: { admin: true, read: true } },
    description:
      'Gives a webhook a new secret. For 24 hours the one before signs as well, so that both verify. At most three sign at a ' +
      'time: a fourth ends the oldest at once.',
    errors: {
      types: [NotFoundError],
      union: { name: 'RotateWebhookSecretResult', description: 'The result of `rotateWebhookSecret`.' },
    },
    args: { input: t.arg({ type: RotateWebhookSecretInput, required: true, description: 'Which webhook.' }) },
    resolve: (_root, { input }, { services, viewer }) => rotateSecret(services, viewer, input),
  }),
);
