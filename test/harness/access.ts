import { createApiKey, type NewApiKey } from '../../src/access/api-keys.ts';
import type { Services } from '../../src/graphql/context.ts';
import { encodeId } from '../../src/ids.ts';
import { ask, type Target } from './client.ts';

/** The organization that the first server on a database makes, by its row id. */
export async function firstOrganization({ prisma }: Services): Promise<string> {
  return (await prisma.organization.findFirstOrThrow({ orderBy: { createdAt: 'asc' } })).id;
}

/** Makes a key; returns its public id and its secret. */
export async function addKey(
  { pool, newId }: Services,
  key: Omit<NewApiKey, 'name'>,
): Promise<{ id: string; secret: string }> {
  const { id, secret } = await createApiKey(pool, newId, { name: 'A key of a test', ...key });
  return { id: encodeId('ApiKey', id), secret };
}

export interface Organization {
  id: string;
  agentId: string;
  contactId: string;
  /** Of all scopes. */
  key: string;
}

/** Makes another organization, with an agent and a person. */
export async function addOrganization(services: Services, runtime = 'knowledge'): Promise<Organization> {
  const { prisma, newId } = services;
  const [organizationId, agentId] = [newId(), newId()];
  await prisma.organization.create({ data: { id: organizationId, name: 'Another' } });
  await prisma.agent.create({ data: { id: agentId, organizationId, name: 'Another agent', runtime } });
  await prisma.organization.update({ where: { id: organizationId }, data: { defaultAgentId: agentId } });
  const contactId = await addContact(services, organizationId);
  const { secret } = await addKey(services, { organizationId });
  return { id: organizationId, agentId: encodeId('Agent', agentId), contactId, key: secret };
}

/** Makes a person; returns the public id. */
export async function addContact(
  { prisma, newId }: Services,
  organizationId: string,
  { anonymous = false } = {},
): Promise<string> {
  const id = newId();
  await prisma.contact.create({
    data: { id, organizationId, displayName: 'Robin', anonymous, metadata: { tier: 'gold' } },
  });
  return encodeId('Contact', id);
}

/** Makes an operator of the target's organization, and mints a token for them. */
export async function addOperator(
  target: Target,
  input: { name?: string; role?: 'AGENT' | 'ADMIN'; email?: string; avatarUrl?: string } = {},
): Promise<{ id: string; key: string; target: Target }> {
  const { result } = await ask<{ result: { operator: { id: string } } }>(
    target,
    `mutation ($input: CreateOperatorInput!) {
      result: createOperator(input: $input) { ... on CreateOperatorPayload { operator { id } } }
    }`,
    { input: { name: 'Kim', ...input } },
  );
  const { id } = result.operator;
  const key = await mintOperatorToken(target, id);
  return { id, key, target: { url: target.url, key } };
}

/** Mints a token for an operator; throws when that fails. */
export async function mintOperatorToken(target: Target, operatorId: string, expiresInSeconds = 900): Promise<string> {
  const { result } = await ask<{ result: { token?: string; detail?: string } }>(
    target,
    `mutation ($input: CreateOperatorTokenInput!) {
      result: createOperatorToken(input: $input) {
        ... on CreateOperatorTokenPayload { token } ... on UserError { detail }
      }
    }`,
    { input: { operatorId, expiresInSeconds } },
  );
  if (result.token === undefined) throw new Error(result.detail);
  return result.token;
}

interface TokenInput {
  contactId?: string;
  contact?: Record<string, unknown>;
  conversationId?: string;
  grants?: readonly string[];
  displayName?: string;
  expiresInSeconds?: number;
}

/** Mints a client token; throws when that fails. */
export async function mintToken(
  target: Target,
  { expiresInSeconds, grants, displayName, ...subject }: TokenInput,
): Promise<string> {
  const { result } = await ask<{ result: { token?: string; detail?: string } }>(
    target,
    `mutation ($input: CreateClientTokenInput!) {
      result: createClientToken(input: $input) { ... on CreateClientTokenPayload { token } ... on UserError { detail } }
    }`,
    { input: { for: subject, grants, displayName, ...(expiresInSeconds !== undefined && { expiresInSeconds }) } },
  );
  if (result.token === undefined) throw new Error(result.detail);
  return result.token;
}
