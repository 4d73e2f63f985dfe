import { describe, expect, test } from 'vitest';
import { ask } from './harness/client.ts';
import { createConversation, send } from './harness/commands.ts';
import { useServer } from './harness/server.ts';

const server = useServer();

interface Page {
  edges: { cursor: string; node: { id: string; text?: string } }[];
  nodes: { id: string }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}

const pageFields = 'pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';

async function messages(id: string, args: Record<string, unknown>): Promise<Page> {
  const { conversation } = await ask<{ conversation: { messages: Page } }>(
    server,
    `query ($id: ID!, $first: Int, $last: Int, $after: String, $before: String, $roles: [MessageRole!]) {
      conversation(id: $id) {
        messages(first: $first, last: $last, after: $after, before: $before, roles: $roles) {
          edges { cursor node { id text } } nodes { id } ${pageFields}
        }
      }
    }`,
    { id, ...args },
  );
  return conversation.messages;
}

async function conversations(args: Record<string, unknown>): Promise<Page> {
  const data = await ask<{ conversations: Page }>(
    server,
    `query ($first: Int, $last: Int, $after: String, $before: String, $orderBy: ConversationOrder! = {field: UPDATED_AT, direction: DESC}) {
      conversations(first: $first, last: $last, after: $after, before: $before, orderBy: $orderBy) {
        edges { cursor node { id } } nodes { id } ${pageFields}
      }
    }`,
    args,
  );
  return data.conversations;
}

/** The pages from one end of a list to the other. */
async function walk(load: (args: Record<string, unknown>) => Promise<Page>, size: number, way: 'forward' | 'backward') {
  const pages: Page[] = [];
  let cursor: string | null = null;
  do {
    const page: Page = await load(way === 'forward' ? { first: size, after: cursor } : { last: size, before: cursor });
    pages.push(page);
    const { hasNextPage, hasPreviousPage, startCursor, endCursor } = page.pageInfo;
    cursor = way === 'forward' ? (hasNextPage ? endCursor : null) : hasPreviousPage ? startCursor : null;
  } while (cursor !== null);
  return pages;
}

async function conversationOf(count: number): Promise<string> {
  const { conversation } = await createConversation(server, { action: 'NONE' });
  for (let i = 1; i <= count; i += 1) {
    await send(server, { conversationId: conversation.id, content: { text: `No. ${i}` }, action: 'NONE' });
  }
  return conversation.id;
}

const texts = (page: Page) => page.edges.map(({ node }) => node.text);

describe('the messages of a conversation', () => {
  test('are read forward in pages that join without a gap or an overlap', async () => {
    const id = await conversationOf(5);
    const pages = await walk((args) => messages(id, args), 2, 'forward');
    expect(pages.map(texts)).toEqual([['No. 1', 'No. 2'], ['No. 3', 'No. 4'], ['No. 5']]);
    expect(pages.map(({ pageInfo }) => pageInfo.hasNextPage)).toEqual([true, true, false]);
    for (const page of pages) {
      expect(page.pageInfo.startCursor).toBe(page.edges[0]?.cursor);
      expect(page.pageInfo.endCursor).toBe(page.edges.at(-1)?.cursor);
      expect(page.nodes.map((node) => node.id)).toEqual(page.edges.map(({ node }) => node.id));
    }
  });

  test('are read backward from the newest, each page oldest first', async () => {
    const id = await conversationOf(5);
    const pages = await walk((args) => messages(id, args), 2, 'backward');
    expect(pages.map(texts)).toEqual([['No. 4', 'No. 5'], ['No. 2', 'No. 3'], ['No. 1']]);
    expect(pages.map(({ pageInfo }) => pageInfo.hasPreviousPage)).toEqual([true, true, false]);
  });

  test('stay where they are in a page while new ones come', async () => {
    const id = await conversationOf(3);
    const first = await messages(id, { first: 2 });
    await send(server, { conversationId: id, content: { text: 'New' }, action: 'NONE' });
    expect(texts(await messages(id, { first: 50, after: first.pageInfo.endCursor }))).toEqual(['No. 3', 'New']);
  });

  test('end a page that is exactly full without promising more', async () => {
    const id = await conversationOf(2);
    expect((await messages(id, { first: 2 })).pageInfo).toMatchObject({ hasNextPage: false });
    expect((await messages(id, { last: 2 })).pageInfo).toMatchObject({ hasPreviousPage: false });
  });

  test('of one role alone fill whole pages', async () => {
    const { conversation } = await createConversation(server, {
      message: { content: { text: 'How do I stop a reply?' } },
      runtimeParameters: { wordsPerSecond: 0 },
      awaitReply: true,
    });
    const content = { text: 'A second question.' };
    await send(server, { conversationId: conversation.id, content, action: 'NONE' });
    const page = await messages(conversation.id, { first: 2, roles: ['USER'] });
    expect(texts(page)).toEqual(['How do I stop a reply?', 'A second question.']);
    expect(texts(await messages(conversation.id, { roles: ['CONTROL'] }))).toEqual([]);
  });

  test('are an empty page without cursors when there are none', async () => {
    const id = await conversationOf(0);
    const pageInfo = { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null };
    expect(await messages(id, {})).toEqual({ edges: [], nodes: [], pageInfo });
  });
});

describe('the list of conversations', () => {
  const ids = (pages: Page[]) => pages.flatMap((page) => page.edges.map(({ node }) => node.id));

  test.each(['CREATED_AT', 'UPDATED_AT'])(
    'by %s has each once, forward and backward, in both directions',
    async (field) => {
      const made: string[] = [];
      for (let i = 0; i < 5; i += 1) made.push(await conversationOf(0));
      for (const direction of ['ASC', 'DESC']) {
        const load = (args: Record<string, unknown>) => conversations({ ...args, orderBy: { field, direction } });
        const forward = ids(await walk(load, 2, 'forward'));
        const backward = (await walk(load, 2, 'backward')).reverse();
        expect(new Set(forward).size).toBe(forward.length);
        expect(forward.filter((id) => made.includes(id))).toEqual(direction === 'ASC' ? made : [...made].reverse());
        expect(ids(backward)).toEqual(forward);
      }
    },
  );

  test('begins with the one where something happened last', async () => {
    const oldest = await conversationOf(0);
    await conversationOf(0);
    await send(server, { conversationId: oldest, content: { text: 'Back again.' }, action: 'NONE' });
    expect((await conversations({ first: 1 })).nodes).toEqual([{ id: oldest }]);
  });
});
