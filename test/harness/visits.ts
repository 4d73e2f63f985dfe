import { SignJWT } from 'jose';
import { ask, type Result, type Target } from './client.ts';

export interface WebChat {
  id: string;
  publicKey: string;
  identitySecret: string;
}

/** Creates a web chat. */
export async function addWebChat(target: Target, input: Record<string, unknown> = {}): Promise<WebChat> {
  const { result } = await ask<{
    result: { detail?: string; inbox: { id: string; publicKey: string }; identitySecret: string };
  }>(
    target,
    `mutation ($input: CreateInboxInput!) {
      result: createInbox(input: $input) {
        ... on CreateInboxPayload { inbox { id publicKey } identitySecret } ... on UserError { detail }
      }
    }`,
    { input: { name: 'Chat', channel: 'WEB_CHAT', ...input } },
  );
  if (result.detail !== undefined) throw new Error(result.detail);
  return { ...result.inbox, identitySecret: result.identitySecret };
}

/** Signs an identity as the server of a page does. */
export function sign(
  { publicKey, identitySecret }: Pick<WebChat, 'publicKey' | 'identitySecret'>,
  claims: Record<string, unknown>,
  { seconds = 600, alg = 'HS256' }: { seconds?: number; alg?: string } = {},
): Promise<string> {
  return new SignJWT({ aud: publicKey, exp: Math.floor(Date.now() / 1000) + seconds, ...claims })
    .setProtectedHeader({ alg })
    .sign(new TextEncoder().encode(identitySecret));
}

export interface VisitResult {
  __typename: string;
  token: string;
  expiresAt: string;
  visitorSecret: string | null;
  contact: { id: string; externalId: string | null; displayName: string | null; anonymous: boolean };
  inbox: { id: string; attended: boolean };
  reason?: string;
  path?: string[];
}

const startVisit = `mutation ($input: StartVisitInput!) {
  result: startVisit(input: $input) {
    __typename
    ... on StartVisitPayload {
      token expiresAt visitorSecret contact { id externalId displayName anonymous } inbox { id attended }
    }
    ... on VisitRefusedError { reason }
    ... on NotFoundError { path }
    ... on InvalidInputError { issues { path code } }
  }
}`;

export interface VisitRequest {
  inboxKey: string;
  identity?: string | null;
  visitorSecret?: string | null;
}

/** Asks for a visit as a browser does. */
export async function askForVisit(
  { url }: Pick<Target, 'url'>,
  input: VisitRequest,
  headers: Record<string, string> = {},
): Promise<Result<{ result: VisitResult }> & { status: number; headers: Headers }> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: JSON.stringify({ query: startVisit, variables: { input } }),
  });
  const body = (await response.json()) as Result<{ result: VisitResult }>;
  return { status: response.status, headers: response.headers, ...body };
}

/** Starts a visit, or tells why not as data. */
export async function visit(
  target: Pick<Target, 'url'>,
  input: VisitRequest,
  headers: Record<string, string> = {},
): Promise<VisitResult> {
  const { data, errors } = await askForVisit(target, input, headers);
  if (!data) throw new Error(JSON.stringify(errors));
  return data.result;
}
