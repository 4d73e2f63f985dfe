import { z } from 'zod';

const replySchema = z.object({ id: z.string(), status: z.string(), text: z.string() });
const conversationSchema = z.object({ id: z.string(), version: z.number() });

const createdSchema = z.object({
  cursor: z.string(),
  conversation: conversationSchema,
  reply: replySchema,
});
const sentSchema = z.discriminatedUnion('__typename', [
  z.object({
    __typename: z.literal('SendMessagePayload'),
    cursor: z.string(),
    conversation: conversationSchema,
    reply: replySchema,
  }),
  z.object({
    __typename: z.literal('ConversationBusyError'),
    detail: z.string(),
    currentVersion: z.number(),
    runningReply: z.object({ id: z.string() }),
  }),
  z.object({
    __typename: z.literal('VersionConflictError'),
    detail: z.string(),
    expectedVersion: z.number(),
    currentVersion: z.number(),
  }),
]);
const stoppedSchema = z.object({ conversation: conversationSchema, reply: replySchema });

const replyFields = 'reply { id status text }';

/** What the tour asks of the server over HTTP. Each throws when the answer is not one that the tour expects. */
export class Api {
  private readonly server: { url: string; key: string | null };
  private readonly signal: AbortSignal;

  /** `key` is the credential; null for none. */
  constructor(server: { url: string; key: string | null }, signal: AbortSignal) {
    this.server = server;
    this.signal = signal;
  }

  async createConversation(input: { message: object }) {
    const document = `mutation ($input: CreateConversationInput!) {
      result: createConversation(input: $input) {
        __typename
        ... on CreateConversationPayload { cursor conversation { id version } ${replyFields} }
        ... on UserError { detail }
      }
    }`;
    return this.ask(document, { input }, z.object({ result: createdSchema })).then(({ result }) => result);
  }

  async sendMessage(input: object) {
    const document = `mutation ($input: SendMessageInput!) {
      result: sendMessage(input: $input) {
        __typename
        ... on SendMessagePayload { cursor conversation { id version } ${replyFields} }
        ... on ConversationBusyError { currentVersion runningReply { id } }
        ... on VersionConflictError { expectedVersion currentVersion }
        ... on UserError { detail }
      }
    }`;
    return this.ask(document, { input }, z.object({ result: sentSchema })).then(({ result }) => result);
  }

  async stopReply(replyId: string) {
    const document = `mutation ($replyId: ID!) {
      result: stopReply(input: { replyId: $replyId }) {
        __typename
        ... on StopReplyPayload { conversation { id version } ${replyFields} }
        ... on UserError { detail }
      }
    }`;
    return this.ask(document, { replyId }, z.object({ result: stoppedSchema })).then(({ result }) => result);
  }

  async message(id: string) {
    const document = 'query ($id: ID!) { message(id: $id) { id status text } }';
    return this.ask(document, { id }, z.object({ message: replySchema })).then(({ message }) => message);
  }

  async ask<T>(query: string, variables: object, data: z.ZodType<T>): Promise<T> {
    const { url, key } = this.server;
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...(key !== null && { Authorization: `Bearer ${key}` }) },
      body: JSON.stringify({ query, variables }),
      signal: this.signal,
    });
    const body: unknown = await response.json();
    const result = z.object({ data }).safeParse(body);
    if (!result.success) throw new Error(`The server gave an unexpected answer: ${JSON.stringify(body)}`);
    return result.data.data;
  }
}
