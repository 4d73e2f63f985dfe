import type { GraphiQLOptions } from 'graphql-yoga';
import { type PageSettings, pageScript } from './graphiql-page.ts';

/** The GraphiQL page, which loads nothing from other servers. It is large, so it is imported on first use. */
export function graphiqlRenderer(settings: PageSettings): (options?: GraphiQLOptions) => Promise<string> {
  return async (options) => {
    const page = await import('@graphql-yoga/render-graphiql');
    return page.renderGraphiQL(options).replace('<head>', () => `<head>${pageScript(settings)}`);
  };
}

/** Subscriptions run over SSE, because the page can send its credential only in the headers of requests. */
export const graphiqlOptions: GraphiQLOptions = {
  title: 'Parley',
  credentials: 'same-origin',
  shouldPersistHeaders: true,
  subscriptionsProtocol: 'SSE',
  defaultTabs: [
    {
      query: `# 1. Start a conversation. The agent answers
#    slowly: watch it in the next tab.
#    Variables left out are filled in for you.
mutation Start {
  createConversation(
    input: {
      message: {
        content: { text: "What is Parley?" }
      }
      runtimeParameters: { wordsPerSecond: 6 }
    }
  ) {
    __typename
    ... on CreateConversationPayload {
      conversation { id version }
      cursor
      reply { id status }
    }
    ... on UserError { detail }
  }
}
`,
    },
    {
      query: `# 2. Follow the conversation from the cursor
#    of Start: what you missed, then live.
subscription Follow(
  $conversationId: ID!
  $after: EventCursor
) {
  conversationEvents(
    conversationId: $conversationId
    after: $after
  ) {
    __typename
    cursor
    ... on MessageCreated {
      message { id role text }
    }
    ... on FragmentStarted {
      fragment { id index __typename }
    }
    ... on FragmentDelta { offset text }
    ... on FragmentCompleted { fragment { id } }
    ... on MessageCompleted {
      message { id status text }
    }
  }
}
`,
    },
    {
      query: `# 3. Send, and wait for the whole answer.
#    INTERRUPT ends a reply that still runs; by
#    default you get a ConversationBusyError.
mutation Send($conversationId: ID!) {
  sendMessage(
    input: {
      conversationId: $conversationId
      content: { text: "What is a handoff?" }
      runtimeParameters: { wordsPerSecond: 50 }
      onBusy: INTERRUPT
      awaitReply: true
    }
  ) {
    __typename
    ... on SendMessagePayload {
      conversation { id version }
      reply { id status text }
    }
    ... on ConversationBusyError {
      currentVersion
      runningReply { id }
    }
    ... on UserError { detail }
  }
}
`,
    },
    {
      query: `# 4. Follow the last reply from its beginning,
#    also when it has ended.
subscription Reply($replyId: ID!) {
  replyEvents(replyId: $replyId) {
    __typename
    ... on FragmentDelta { offset text }
    ... on MessageCompleted {
      message { status text }
    }
  }
}
`,
    },
    {
      query: `# 5. Read.
query Read {
  conversations(first: 10) {
    nodes {
      id
      version
      status
      messageCount
      messages(last: 10) {
        nodes {
          id
          role
          status
          text
          fragments { __typename index status }
        }
      }
    }
  }
}
`,
    },
    {
      query: `# 6. Somebody whom your own system knows, and a
#    token with which their browser asks.
mutation Person {
  upsertContact(
    input: {
      externalId: "u-1042"
      displayName: "Ada"
    }
  ) {
    ... on UpsertContactPayload {
      created
      contact { id displayName }
    }
    ... on UserError { detail }
  }
  createClientToken(
    input: {
      for: { contact: { externalId: "u-1042" } }
      grants: [START_CONVERSATION, ASK_FOR_HUMAN]
    }
  ) {
    ... on CreateClientTokenPayload {
      expiresAt
      token
    }
    ... on UserError { detail }
  }
}
`,
    },
    {
      query: `# 7. Visit a web chat, as a stranger's browser
#    does: no credential is needed.
mutation Visit($inboxKey: String!) {
  startVisit(input: { inboxKey: $inboxKey }) {
    ... on StartVisitPayload {
      contact { id anonymous }
      inbox { id attended }
      expiresAt
      token
    }
    ... on UserError { detail }
  }
}
`,
    },
    {
      query: `# 8. Ask for a human. Tabs named Visitor run
#    with the token of the last visit.
mutation VisitorAsks($conversationId: ID!) {
  startHandoff(
    input: {
      conversationId: $conversationId
      reason: "I want to talk to a person."
    }
  ) {
    ... on StartHandoffPayload {
      conversation { id status }
    }
    ... on UserError { detail }
  }
}
`,
    },
    {
      query: `# 9. Take over and answer, as the operator who
#    you are on this page.
mutation Answer($conversationId: ID!) {
  takeOver(
    input: { conversationId: $conversationId }
  ) {
    ... on TakeOverPayload {
      conversation { id status }
    }
    ... on UserError { detail }
  }
  addAgentMessage(
    input: {
      conversationId: $conversationId
      content: { text: "I am here to help." }
    }
  ) {
    ... on AddAgentMessagePayload {
      message { id author { displayName } text }
    }
    ... on UserError { detail }
  }
}
`,
    },
    {
      query: `# 10. What the visitor sees: what they missed,
#     then live. Leave it open, and answer from
#     another window.
subscription VisitorSees(
  $conversationId: ID!
  $after: EventCursor
) {
  conversationEvents(
    conversationId: $conversationId
    after: $after
  ) {
    __typename
    ... on VersionedEvent {
      conversation { status }
    }
    ... on MessageCreated {
      message { author { displayName } text }
    }
  }
}
`,
    },
  ],
};
