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
    ['src/graphql/schema.ts', `import { serve } from '../server.ts'`],
    ['src/graphql/schema.ts', `import { serve } from '../server/http.ts'`],
    ['src/conversations/schema.ts', `import { serve } from '../server.ts'`],
    ['src/conversations/send.ts', `import { builder } from '../graphql/builder.ts'`],
    ['src/conversations/send.ts', `import type { Context } from '../graphql/context.ts'`],
    ['src/conversations/send.ts', `import { Conversation } from './schema.ts'`],
    ['src/webhooks/deliver.ts', `import '../conversations/schema/message.ts'`],
    ['src/events/linked.ts', `import { follow } from '../conversations/follow.ts'`],
    ['src/postgres/embedded.ts', `import { createKey } from '../access/keys.ts'`],
    ['src/db.ts', `export { sendMessage } from './conversations/send.ts'`],
    ['src/config.ts', `export * from './app.ts'`],
    ['src/errors.ts', `const schema = await import('./graphql/schema.ts')`],
    ['src/errors.ts', `type Schema = import('./graphql/schema.ts').Schema`],
    ['src/conversations/send.ts', `import SchemaBuilder from '@pothos/core'`],
    ['src/server.ts', `import SchemaBuilder from '@pothos/core'`],
    ['src/conversations/schema.ts', `import { createYoga } from 'graphql-yoga'`],
    ['src/app.ts', `import { useCSRFPrevention } from '@graphql-yoga/plugin-csrf-prevention'`],
    ['src/conversations/feed.ts', `import { postgresBus } from '../events/postgres.ts'`],
    ['src/main.ts', `import { redisBus } from './events/redis.ts'`],
    ['src/server.ts', `import { chooseBus } from './events/choose.ts'`],
    ['src/events/linked.ts', `import { inProcessBus } from './in-process.ts'`],
    ['src/agents/knowledge/runtime.ts', `import type { Message } from '../../conversations/message.ts'`],
    ['src/agents/schema.ts', `import { lease } from '../generation/lease.ts'`],
    ['src/agents/model.ts', `import { builder } from '../graphql/builder.ts'`],
    ['src/conversations/send.ts', `import type { Runtime } from '../agents/runtime.ts'`],
    ['src/generation/lease.ts', `import { knowledge } from '../agents/knowledge/runtime.ts'`],
    ['src/generation/lease.ts', `import { Runtime } from '../agents/runtime.ts'`],
    ['src/generation/lease.ts', `import type { Model } from '../agents/model.ts'`],
    ['src/client/follow.ts', `import type { Json } from '../json.ts'`],
    ['src/client/follow.ts', `import type { Cursor } from '../conversations/cursor.ts'`],
  ])('%s may not say %s', async (filePath, code) => {
    expect(await objections(filePath, code)).toEqual([expect.stringContaining(' must not import ')]);
  });

  it.each([
    ['src/main.ts', `import { app } from './app.ts'; import { readConfig } from './config.ts'`],
    [
      'src/app.ts',
      `import { chooseBus } from './events/choose.ts'; import { postgresBus } from './events/postgres.ts'`,
    ],
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
      `import { builder } from '../graphql/builder.ts'; import { send } from './send.ts'`,
    ],
    [
      'src/conversations/schema/message.ts',
      `import { builder } from '../../graphql/builder.ts'; import '@pothos/core'`,
    ],
    ['src/conversations/schema.ts', `import { Agent } from '../agents/schema.ts'`],
    ['src/conversations/send.ts', `import { GraphQLError } from 'graphql'; import { db } from '../db.ts'`],
    ['src/conversations/feed.ts', `import type { Bus } from '../events/bus.ts'`],
    ['src/agents/schema.ts', `import { builder } from '../graphql/builder.ts'`],
    ['src/agents/knowledge/runtime.ts', `import { search } from '../../knowledge/search.ts'`],
    [
      'src/generation/runner.ts',
      `import { a } from '../agents/knowledge/runtime.ts'; import { b } from '../conversations/log.ts'`,
    ],
    ['src/generation/draft.ts', `import type { ReplyPart } from '../agents/runtime.ts'`],
    ['src/generation/draft.ts', `import { type ReplyPart } from '../agents/runtime.ts'`],
    ['src/events/choose.ts', `const { redisBus } = await import('./redis.ts')`],
    [
      'src/events/redis.ts',
      `import { linkedBus } from './linked.ts'; import type { Logger } from '../observability.ts'`,
    ],
    ['src/client/follow.ts', `import { fold } from './fold.ts'; import { createClient } from 'graphql-ws'`],
    [
      'test/send.test.ts',
      `import { postgresBus } from '../src/events/postgres.ts'; import { app } from '../src/app.ts'`,
    ],
    ['bench/send.ts', `import { inProcessBus } from '../src/events/in-process.ts'`],
  ])('%s may say %s', async (filePath, code) => {
    expect(await objections(filePath, code)).toEqual([]);
  });
});
