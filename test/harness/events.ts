import { type Subscribe, subscribeWs, type Target } from './client.ts';
import type { FragmentData } from './commands.ts';
import { mapped, type Stream } from './stream.ts';

interface Common {
  cursor: string;
  conversationId: string;
}

interface EventMessage {
  id: string;
  role: string;
  status: string;
  text: string;
  fragments: { id: string }[];
}

export type Event = Common &
  (
    | { __typename: 'MessageCreated' | 'MessageCompleted'; version: number; message: EventMessage }
    | { __typename: 'FragmentStarted'; message: { id: string }; fragment: FragmentData }
    | { __typename: 'FragmentDelta'; messageId: string; fragmentId: string; offset: number; text: string }
    | { __typename: 'FragmentCompleted'; messageId: string; fragment: FragmentData }
    | { __typename: 'ConversationCreated' | 'StateChanged'; version: number }
  );

const definition = /* GraphQL */ `
  fragment E on ConversationEvent {
    __typename
    cursor
    conversationId
    ... on VersionedEvent {
      version
    }
    ... on MessageCreated {
      message {
        ...M
      }
    }
    ... on MessageCompleted {
      message {
        ...M
      }
    }
    ... on FragmentStarted {
      message {
        id
      }
      fragment {
        ...F
      }
    }
    ... on FragmentDelta {
      messageId
      fragmentId
      offset
      text
    }
    ... on FragmentCompleted {
      messageId
      fragment {
        ...F
      }
    }
  }
  fragment M on Message {
    id
    role
    status
    text
    fragments {
      id
    }
  }
  fragment F on Fragment {
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
`;

export const conversationEventsQuery = /* GraphQL */ `
  subscription ($conversationId: ID!, $after: EventCursor, $fragments: Boolean! = true) {
    event: conversationEvents(conversationId: $conversationId, after: $after, fragments: $fragments) {
      ...E
    }
  }
  ${definition}
`;

export const replyEventsQuery = /* GraphQL */ `
  subscription ($replyId: ID!, $after: EventCursor) {
    event: replyEvents(replyId: $replyId, after: $after) {
      ...E
    }
  }
  ${definition}
`;

/** By WebSocket, unless told otherwise. */
export function conversationEvents(
  target: Target,
  variables: { conversationId: string; after?: string; fragments?: boolean },
  subscribe: Subscribe = subscribeWs,
): Stream<Event> {
  return mapped(subscribe<{ event: Event }>(target, conversationEventsQuery, variables), ({ event }) => event);
}

/** By WebSocket, unless told otherwise. */
export function replyEvents(
  target: Target,
  variables: { replyId: string; after?: string },
  subscribe: Subscribe = subscribeWs,
): Stream<Event> {
  return mapped(subscribe<{ event: Event }>(target, replyEventsQuery, variables), ({ event }) => event);
}
