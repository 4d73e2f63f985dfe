import { ask, type Target } from './client.ts';

export interface Delivery {
  id: string;
  event: string;
  position: string | null;
  conversationId: string | null;
  status: string;
  nextAttemptAt: string | null;
  attempts: { at: string; statusCode: number | null; milliseconds: number; error: string | null }[];
}

export interface WebhookShown {
  id: string;
  url: string;
  events: string[];
  selection: string;
  status: string;
  disabledReason: string | null;
  failingSince: string | null;
}

const shown = '{ id url events selection status disabledReason failingSince }';

/** Creates a webhook that must come to be. */
export async function createWebhook(
  target: Target,
  input: { url: string; events?: string[]; selection?: string },
): Promise<{ webhook: WebhookShown; secret: string }> {
  const { createWebhook: made } = await ask<{ createWebhook: { webhook: WebhookShown; secret: string } }>(
    target,
    `mutation ($input: CreateWebhookInput!) { createWebhook(input: $input) {
      ... on CreateWebhookPayload { webhook ${shown} secret } ... on UserError { detail } } }`,
    { input },
  );
  return made;
}

/** A mutation on webhooks with the name of its result and its details. */
export async function change(
  target: Target,
  name: 'updateWebhook' | 'deleteWebhook' | 'testWebhook' | 'retryDelivery' | 'replayWebhook' | 'rotateWebhookSecret',
  input: Record<string, unknown>,
): Promise<{ __typename: string; detail?: string; secret?: string }> {
  const Name = `${name.slice(0, 1).toUpperCase()}${name.slice(1)}`;
  const secret = name === 'rotateWebhookSecret' ? '... on RotateWebhookSecretPayload { secret }' : '';
  const { result } = await ask<{ result: { __typename: string } }>(
    target,
    `mutation ($input: ${Name}Input!) { result: ${name}(input: $input) { __typename ${secret} ... on UserError { detail } } }`,
    { input },
  );
  return result;
}

export async function readWebhook(target: Target, id: string): Promise<WebhookShown> {
  return (await ask<{ webhook: WebhookShown }>(target, `query ($id: ID!) { webhook(id: $id) ${shown} }`, { id }))
    .webhook;
}

/** The newest deliveries, oldest first. */
export async function readDeliveries(target: Target, id: string, status: string | null = null): Promise<Delivery[]> {
  const { webhook } = await ask<{ webhook: { deliveries: { nodes: Delivery[] } } }>(
    target,
    `query ($id: ID!, $status: DeliveryStatus) { webhook(id: $id) { deliveries(last: 100, status: $status) { nodes {
      id event position conversationId status nextAttemptAt attempts { at statusCode milliseconds error } } } } }`,
    { id, status },
  );
  return webhook.deliveries.nodes;
}
