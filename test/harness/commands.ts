import { ask, type Target } from './client.ts';

export interface FragmentData {
  __typename: string;
  id: string;
  index: number;
  status: string;
  metadata: Record<string, unknown>;
  text?: string;
  name?: string;
  args?: Record<string, unknown> | null;
  callId?: string | null;
  response?: unknown;
  failed?: boolean;
}

export interface MessageData {
  id: string;
  role: string;
  status: string;
  position: number;
  text: string;
  errorDetail: string | null;
  completedAt: string | null;
  inReplyTo: { id: string } | null;
  fragments: FragmentData[];
}

interface ConversationData {
  id: string;
  version: number;
  runningReply: { id: string } | null;
}

export interface Sent {
  __typename: 'SendMessagePayload';
  conversation: ConversationData;
  cursor: string;
  message: MessageData;
  reply: MessageData | null;
}

/** Each member of the union has those of the fields that are its own. */
export interface Refused {
  __typename: string;
  detail: string;
  path: string[];
  issues: { path: string[]; detail: string }[];
  currentVersion: number;
  expectedVersion: number;
  runningReply: { id: string };
  conversation: ConversationData;
}

export interface Stopped {
  __typename: 'StopReplyPayload';
  conversation: ConversationData;
  cursor: string;
  reply: MessageData;
}

export interface Created {
  conversation: ConversationData;
  cursor: string;
  message: MessageData | null;
  reply: MessageData | null;
}

const messageFields = /* GraphQL */ `
  fragment M on Message {
    id
    role
    status
    position
    text
    errorDetail
    completedAt
    inReplyTo {
      id
    }
    fragments {
      __typename
      id
      index
      status
      metadata
      ... on TextFragment {
        text
      }
      ... on FunctionCallFragment {
        name
        args
      }
      ... on FunctionResponseFragment {
        name
        callId
        response
        failed
      }
    }
  }
`;

const conversationFields = /* GraphQL */ `
  fragment C on Conversation {
    id
    version
    runningReply {
      id
    }
  }
`;

/** Starts a conversation; throws when that fails. */
export async function createConversation(target: Target, input: Record<string, unknown> = {}): Promise<Created> {
  const { result } = await ask<{ result: Created | Refused }>(
    target,
    /* GraphQL */ `
      ${messageFields}
      ${conversationFields}
      mutation ($input: CreateConversationInput!) {
        result: createConversation(input: $input) {
          __typename
          ... on CreateConversationPayload {
            conversation {
              ...C
            }
            cursor
            message {
              ...M
            }
            reply {
              ...M
            }
          }
          ... on UserError {
            detail
          }
        }
      }
    `,
    { input },
  );
  if ('detail' in result) throw new Error(`${result.__typename}: ${result.detail}`);
  return result;
}

/** Sends; returns the payload or the failure. */
export async function trySend(target: Target, input: Record<string, unknown>): Promise<Sent | Refused> {
  const { result } = await ask<{ result: Sent | Refused }>(
    target,
    /* GraphQL */ `
      ${messageFields}
      ${conversationFields}
      mutation ($input: SendMessageInput!) {
        result: sendMessage(input: $input) {
          __typename
          ... on SendMessagePayload {
            conversation {
              ...C
            }
            cursor
            message {
              ...M
            }
            reply {
              ...M
            }
          }
          ... on UserError {
            detail
          }
          ... on ConversationBusyError {
            currentVersion
            runningReply {
              id
            }
            conversation {
              ...C
            }
          }
          ... on VersionConflictError {
            currentVersion
            expectedVersion
          }
          ... on NotFoundError {
            path
          }
          ... on InvalidInputError {
            issues {
              path
              detail
            }
          }
        }
      }
    `,
    { input },
  );
  return result;
}

export function isSent(result: Sent | Refused): result is Sent {
  return result.__typename === 'SendMessagePayload';
}

/** Sends; throws when that fails. */
export async function send(target: Target, input: Record<string, unknown>): Promise<Sent> {
  const result = await trySend(target, input);
  if (isSent(result)) return result;
  throw new Error(`${result.__typename}: ${result.detail}`);
}

/** A message as it is now; throws when there is none. */
export async function readMessage(target: Target, id: string): Promise<MessageData> {
  const { message } = await ask<{ message: MessageData | null }>(
    target,
    /* GraphQL */ `
      ${messageFields}
      query ($id: ID!) {
        message(id: $id) {
          ...M
        }
      }
    `,
    { id },
  );
  if (!message) throw new Error(`There is no message ${id}.`);
  return message;
}

/** Stops a reply; returns the payload or the failure. */
export async function tryStop(target: Target, replyId: string): Promise<Stopped | Refused> {
  const { result } = await ask<{ result: Stopped | Refused }>(
    target,
    /* GraphQL */ `
      ${messageFields}
      ${conversationFields}
      mutation ($replyId: ID!) {
        result: stopReply(input: { replyId: $replyId }) {
          __typename
          ... on StopReplyPayload {
            cursor
            reply {
              ...M
            }
            conversation {
              ...C
            }
          }
          ... on UserError {
            detail
          }
          ... on NotFoundError {
            path
          }
          ... on InvalidInputError {
            issues {
              path
              detail
            }
          }
        }
      }
    `,
    { replyId },
  );
  return result;
}

/** Stops a reply; throws when that fails. */
export async function stop(target: Target, replyId: string): Promise<Stopped> {
  const result = await tryStop(target, replyId);
  if ('reply' in result) return result;
  throw new Error(`${result.__typename}: ${result.detail}`);
}
