import { beforeAll, describe, expect, test } from 'vitest';
import { encodeCursor } from '../src/conversations/stream/cursor.ts';
import { decodeId } from '../src/ids.ts';
import { ask, RefusedError, subscribeWs } from './harness/client.ts';
import { createConversation } from './harness/commands.ts';
import { useServer } from './harness/server.ts';

const server = useServer();
let conversationId: string;
beforeAll(async () => {
  conversationId = (await createConversation(server, { action: 'NONE' })).conversation.id;
});

/** The code that what was asked is refused with. Undefined: it is answered. */
async function codeOf(asked: Promise<unknown>): Promise<unknown> {
  try {
    await asked;
    return undefined;
  } catch (error) {
    if (error instanceof RefusedError) return error.errors[0]?.extensions?.code;
    throw error;
  }
}

/** How a cursor stands in an operation. */
type Given = (after: string) => {
  definition: (type: string) => string;
  value: string;
  variables: Record<string, unknown>;
};
const asVariable: Given = (after) => ({
  definition: (type) => `($after: ${type})`,
  value: '$after',
  variables: { after },
});
const inDocument: Given = (after) => ({ definition: () => '', value: JSON.stringify(after), variables: {} });

/** A list of which pages are read after a cursor. */
const listOf = (name: string) => ({
  given: async () => {
    const query = `{ page: ${name}(first: 1) { pageInfo { endCursor } } }`;
    return (await ask<{ page: { pageInfo: { endCursor: string } } }>(server, query)).page.pageInfo.endCursor;
  },
  use: (after: string, given: Given) => {
    const { definition, value, variables } = given(after);
    return codeOf(
      ask(
        server,
        `query ${definition('String')} { ${name}(first: 1, after: ${value}) { pageInfo { endCursor } } }`,
        variables,
      ),
    );
  },
});

const stream = {
  given: () => encodeCursor(decodeId('Conversation', conversationId) ?? '', { version: 0, running: null }),
  use: async (after: string, given: Given) => {
    const { definition, value, variables } = given(after);
    const query = `subscription ${definition('EventCursor')} {
      conversationEvents(conversationId: "${conversationId}", after: ${value}) { cursor }
    }`;
    const events = subscribeWs<unknown>(server, query, variables);
    const code = await codeOf(events.next());
    await events.return();
    return code;
  },
};

describe('a cursor that is longer than any that was given is not decoded, whatever it holds:', () => {
  test.each([
    ['of a page', listOf('conversations'), 1024],
    ['of a stream', stream, 1024],
    ['of the log', listOf('organizationEvents'), 65_536],
  ])('%s', async (_of, { given, use }, limit) => {
    // Base64 is read past blanks: it stays the same place.
    const cursor = (await given()).padEnd(limit);
    for (const way of [asVariable, inDocument]) {
      expect(await use(cursor, way)).toBeUndefined();
      expect(await use(`${cursor} `, way)).toBe('BAD_USER_INPUT');
    }
  });
});
