import type { GraphiQLOptions } from 'graphql-yoga';

/** A page that loads nothing from elsewhere. Imported when first asked for: it is large. */
export async function renderGraphiQL(options?: GraphiQLOptions): Promise<string> {
  const page = await import('@graphql-yoga/render-graphiql');
  return page.renderGraphiQL(options);
}

/**
 * Where the page signs itself in, subscriptions run over WebSocket. Elsewhere the key is in the page's headers, which only
 * requests carry, so they run over SSE.
 */
export function graphiqlOptions(signsIn: boolean): GraphiQLOptions {
  return { ...options, subscriptionsProtocol: signsIn ? 'WS' : 'SSE' };
}

const options: GraphiQLOptions = {
  title: 'Parley',
  credentials: 'same-origin',
  shouldPersistHeaders: true,
  defaultTabs: [
    {
      query: `# 1. Start a conversation. The answer is generated while you read this.
#    Copy the conversation's id and the reply's id for the other tabs.
mutation Start {
  createConversation(input: { message: { content: { text: "How do I stop a reply?" } } }) {
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
      query: `# 2. Follow a conversation: leave this running, then send in the next tab.
subscription Follow($conversationId: ID!, $after: EventCursor) {
  conversationEvents(conversationId: $conversationId, after: $after) {
    __typename
    cursor
    ... on MessageCreated { message { id role status text } }
    ... on FragmentStarted { fragment { id index __typename } }
    ... on FragmentDelta { fragmentId offset text }
    ... on FragmentCompleted { fragment { id __typename ... on FunctionCallFragment { name args } } }
    ... on MessageCompleted { message { id status text } }
  }
}
`,
      variables: '{ "conversationId": "conv_…" }',
    },
    {
      query: `# 3. Send, and wait for the whole answer. While a reply runs you get a ConversationBusyError,
#    which names the reply in the way.
mutation Send($conversationId: ID!) {
  sendMessage(
    input: { conversationId: $conversationId, content: { text: "What is a handoff?" }, awaitReply: true }
  ) {
    __typename
    ... on SendMessagePayload { conversation { version } reply { id status text } }
    ... on ConversationBusyError { detail currentVersion runningReply { id } }
    ... on UserError { detail }
  }
}
`,
      variables: '{ "conversationId": "conv_…" }',
    },
    {
      query: `# 4. Follow one reply from its beginning, also long after it ended.
subscription Reply($replyId: ID!) {
  replyEvents(replyId: $replyId) {
    __typename
    ... on FragmentDelta { offset text }
    ... on MessageCompleted { message { status text } }
  }
}
`,
      variables: '{ "replyId": "msg_…" }',
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
        nodes { id role status text fragments { __typename index status } }
      }
    }
  }
}
`,
    },
  ],
};
