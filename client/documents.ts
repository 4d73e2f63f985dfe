const fragmentFields = /* GraphQL */ `
  fragment FragmentFields on Fragment {
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

const messageHead = /* GraphQL */ `
  fragment MessageHead on Message {
    id
    position
    role
    status
    author {
      kind
      displayName
      avatarUrl
    }
    metadata
    contentPayload
    canvas {
      name
      type
      title
      content
    }
    inReplyTo {
      id
    }
    supersedes {
      id
    }
    errorDetail
    createdAt
    completedAt
  }
`;

/** The fragment `MessageFields`. Use it in a page of messages or a payload whose messages go to `addMessages`. */
export const messageFields = /* GraphQL */ `
  fragment MessageFields on Message {
    ...MessageHead
    fragments {
      ...FragmentFields
    }
  }
  ${messageHead}
  ${fragmentFields}
`;

const eventFields = /* GraphQL */ `
  fragment EventFields on ConversationEvent {
    __typename
    cursor
    conversationId
    occurredAt
    ... on VersionedEvent {
      version
      conversation {
        status
        title
      }
    }
    ... on MessageCreated {
      message {
        ...MessageFields
      }
    }
    ... on FragmentStarted {
      message {
        ...MessageHead
      }
      fragment {
        ...FragmentFields
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
        ...FragmentFields
      }
    }
    ... on MessageCompleted {
      message {
        ...MessageFields
      }
    }
    ... on MessageErased {
      message {
        ...MessageFields
      }
    }
  }
  ${messageFields}
`;

/** All events of a conversation. Each `event` can be given to `applyEvent`. */
export const conversationEventsDocument = /* GraphQL */ `
  subscription ConversationEvents($conversationId: ID!, $after: EventCursor, $fragments: Boolean! = true) {
    event: conversationEvents(conversationId: $conversationId, after: $after, fragments: $fragments) {
      ...EventFields
    }
  }
  ${eventFields}
`;

/** The events of one reply, from its beginning to its end. Each `event` can be given to `applyEvent`. */
export const replyEventsDocument = /* GraphQL */ `
  subscription ReplyEvents($replyId: ID!, $after: EventCursor) {
    event: replyEvents(replyId: $replyId, after: $after) {
      ...EventFields
    }
  }
  ${eventFields}
`;
