import { ESLint } from 'eslint';
import tseslint from 'typescript-eslint';
import { describe, expect, it } from 'vitest';

const eslint = new ESLint({ overrideConfig: tseslint.configs.disableTypeChecked });

async function objections(filePath: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath });
  if (!result) throw new Error(`${filePath} is not linted`);
  const fatal = result.messages.find((message) => message.fatal);
  if (fatal) throw new Error(fatal.message);
  return result.messages.filter(({ ruleId }) => ruleId === 'parley/import-direction').map(({ message }) => message);
}

describe('imports go one way', () => {
  it.each([
    ['src/app.ts', `import '../src/main.ts'`],
    ['src/server.ts', `import { app } from './app.ts'`],
    ['src/server.ts', `import { stopServing } from './shutdown-steps.ts'`],
    ['src/shutdown-steps.ts', `import { startApp } from '../src/main.ts'`],
    ['src/graphql/schema.ts', `import { serve } from '../server.ts'`],
    ['src/graphql/schema.ts', `import { serve } from '../server/http.ts'`],
    ['src/conversations/schema.ts', `import { serve } from '../server.ts'`],
    ['src/conversations/commands/send.ts', `import { builder } from '../../graphql/builder.ts'`],
    ['src/conversations/commands/send.ts', `import type { Context } from '../../graphql/context.ts'`],
    ['src/conversations/commands/send.ts', `import { Conversation } from '../schema.ts'`],
    ['src/webhooks/deliver.ts', `import '../conversations/schema/message.ts'`],
    ['src/bus/linked-bus.ts', `import { follow } from '../conversations/stream/event-order.ts'`],
    ['src/postgres/embedded.ts', `import { createKey } from '../access/keys.ts'`],
    ['src/db.ts', `export { sendMessage } from './conversations/commands/send.ts'`],
    ['src/config.ts', `export * from './app.ts'`],
    ['src/errors.ts', `const schema = await import('./graphql/schema.ts')`],
    ['src/errors.ts', `type Schema = import('./graphql/schema.ts').Schema`],
    ['src/conversations/commands/send.ts', `import SchemaBuilder from '@pothos/core'`],
    ['src/server.ts', `import SchemaBuilder from '@pothos/core'`],
    ['src/conversations/schema.ts', `import { createYoga } from 'graphql-yoga'`],
    ['src/app.ts', `import { useCSRFPrevention } from '@graphql-yoga/plugin-csrf-prevention'`],
    ['src/conversations/stream/feed.ts', `import { postgresBus } from '../../bus/postgres.ts'`],
    ['src/main.ts', `import { redisBus } from './bus/redis.ts'`],
    ['src/server.ts', `import { chooseBus } from './bus/choose.ts'`],
    ['src/bus/linked-bus.ts', `import { inProcessBus } from './in-process.ts'`],
    ['src/agents/knowledge.ts', `import type { Message } from '../conversations/model.ts'`],
    ['src/agents/schema.ts', `import { lease } from '../generation/lease.ts'`],
    ['src/agents/model.ts', `import { builder } from '../graphql/builder.ts'`],
    ['src/conversations/commands/send.ts', `import type { Runtime } from '../../agents/runtime.ts'`],
    ['src/generation/lease.ts', `import { knowledge } from '../agents/knowledge/runtime.ts'`],
    ['src/generation/lease.ts', `import { Runtime } from '../agents/runtime.ts'`],
    ['src/generation/lease.ts', `import type { Model } from '../agents/model.ts'`],
    ['src/conversations/stream/feed.ts', `import type { Message } from '../../../client/fold.ts'`],
    ['src/access/viewer.ts', `import type { Message } from '../conversations/model.ts'`],
    // Down the layers of conversations/, each against each.
    ['src/conversations/log/append.ts', `import { cursorAt } from '../stream/cursor.ts'`],
    ['src/conversations/log/append.ts', `import type { LogChange } from '../lists/log-tail.ts'`],
    ['src/conversations/log/append.ts', `import { sendMessage } from '../commands/send.ts'`],
    ['src/conversations/log/append.ts', `import type { ConversationServices } from '../services.ts'`],
    ['src/conversations/log/append.ts', `import { MessageRef } from '../schema/message.ts'`],
    ['src/conversations/stream/feed.ts', `import { LogTail } from '../lists/log-tail.ts'`],
    ['src/conversations/stream/feed.ts', `import { sendMessage } from '../commands/send.ts'`],
    ['src/conversations/stream/feed.ts', `import type { ConversationServices } from '../services.ts'`],
    ['src/conversations/stream/feed.ts', `import { MessageRef } from '../schema/message.ts'`],
    ['src/conversations/lists/live-list.ts', `import { follow } from '../stream/event-order.ts'`],
    ['src/conversations/lists/live-list.ts', `import { sendMessage } from '../commands/send.ts'`],
    ['src/conversations/lists/live-list.ts', `import { MessageRef } from '../schema/message.ts'`],
    ['src/conversations/commands/send.ts', `import { MessageRef } from '../schema/message.ts'`],
    ['src/conversations/model.ts', `import { append } from './log/append.ts'`],
  ])('%s may not say %s', async (filePath, code) => {
    expect(await objections(filePath, code)).toEqual([expect.stringContaining(' must not import ')]);
  });

  it.each([
    ['src/main.ts', `import { app } from './app.ts'; import { readConfig } from './config.ts'`],
    ['src/app.ts', `import { chooseBus } from './bus/choose.ts'; import { postgresBus } from './bus/postgres.ts'`],
    ['src/app.ts', `import { serve } from './server.ts'; import { runner } from './generation/runner.ts'`],
    ['src/server.ts', `import { createYoga } from 'graphql-yoga'; import { schema } from './graphql/schema.ts'`],
    [
      'src/server/sockets.ts',
      `import { page } from '../console/page.ts'; import { useServer } from 'graphql-ws/use/ws'`,
    ],
    ['src/graphql/builder.ts', `import SchemaBuilder from '@pothos/core'; import type { Plugin } from 'graphql-yoga'`],
    ['src/graphql/schema.ts', `import '../conversations/schema.ts'; import '../contacts/schema/contact.ts'`],
    [
      'src/conversations/schema.ts',
      `import { builder } from '../graphql/builder.ts'; import { send } from './commands/send.ts'`,
    ],
    [
      'src/conversations/schema/message.ts',
      `import { builder } from '../../graphql/builder.ts'; import '@pothos/core'`,
    ],
    ['src/conversations/schema.ts', `import { Agent } from '../agents/schema.ts'`],
    ['src/conversations/commands/send.ts', `import { GraphQLError } from 'graphql'; import { db } from '../../db.ts'`],
    ['src/conversations/stream/feed.ts', `import type { Bus } from '../../bus/hints.ts'`],
    ['src/agents/schema.ts', `import { builder } from '../graphql/builder.ts'`],
    ['src/agents/knowledge/runtime.ts', `import { search } from '../../knowledge/search.ts'`],
    [
      'src/generation/runner.ts',
      `import { a } from '../agents/knowledge/runtime.ts'; import { b } from '../conversations/log/read.ts'`,
    ],
    ['src/generation/draft.ts', `import type { ReplyPart } from '../agents/runtime.ts'`],
    ['src/generation/draft.ts', `import { type ReplyPart } from '../agents/runtime.ts'`],
    ['src/bus/choose.ts', `const { redisBus } = await import('./redis.ts')`],
    ['src/bus/redis.ts', `import { linkedBus } from './linked-bus.ts'; import type { Logger } from '../logger.ts'`],
    [
      'src/conversations/schema/send.ts',
      `import { sendMessage } from '../commands/send.ts'; import { cursorAt } from '../stream/cursor.ts'`,
    ],
    ['src/conversations/commands/send.ts', `import { commit } from '../log/commit.ts'`],
    ['src/conversations/commands/await-reply.ts', `import { replyStream } from '../stream/stream.ts'`],
    ['src/conversations/stream/feed.ts', `import { readEvents } from '../log/read.ts'`],
    ['test/send.test.ts', `import { postgresBus } from '../src/bus/postgres.ts'; import { app } from '../src/app.ts'`],
    ['bench/send.ts', `import { inProcessBus } from '../src/bus/in-process.ts'`],
  ])('%s may say %s', async (filePath, code) => {
    expect(await objections(filePath, code)).toEqual([]);
  });
});
