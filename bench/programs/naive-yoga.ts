// What one would write first: Yoga with graphql-ws, a subscription, and the pub/sub that comes with them. It keeps nothing.
import { createServer } from 'node:http';
import { type ExecutionArgs, type GraphQLSchema, parse } from 'graphql';
import type { OperationResult } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { createPubSub, createSchema, createYoga } from 'graphql-yoga';
import { WebSocketServer } from 'ws';
import { listen } from '../listen.ts';
import { obey } from '../process.ts';
import { readModel } from '../read-model.ts';
import { proxyCommands } from './plain-commands.ts';

interface Event {
  __typename: string;
  text?: string;
}

const model = process.env.PARLEY_MODEL_URL ?? '';
const pubSub = createPubSub<{ conversation: [id: string, event: Event] }>();

const yoga = createYoga({
  logging: false,
  schema: createSchema({
    typeDefs: /* GraphQL */ `
      type Query {
        event: String
      }
      interface Event {
        text: String
      }
      type ConversationCreated implements Event {
        text: String
      }
      type FragmentDelta implements Event {
        text: String
      }
      type MessageCompleted implements Event {
        text: String
      }
      type Subscription {
        event(conversationId: ID!): Event!
      }
    `,
    resolvers: {
      Subscription: {
        event: {
          async *subscribe(_root: unknown, { conversationId }: { conversationId: string }) {
            yield { event: { __typename: 'ConversationCreated' } };
            for await (const event of pubSub.subscribe('conversation', conversationId)) yield { event };
          },
        },
      },
    },
  }),
});
const query = `subscription ($conversationId: ID!) { event(conversationId: $conversationId) { __typename text } }`;
const document = parse(query);

interface Executor {
  execute: (args: ExecutionArgs) => OperationResult;
  subscribe: (args: ExecutionArgs) => OperationResult;
}

/** What Yoga gives to execute an operation with. */
type Enveloped = Executor & { schema: GraphQLSchema; contextFactory: () => Promise<unknown> };

const executorOf = (args: ExecutionArgs) => args.rootValue as Executor;

const server = createServer((req, res) => void yoga(req, res));
const sockets = new WebSocketServer({ server, path: '/graphql' });
useServer(
  {
    execute: (args: ExecutionArgs) => executorOf(args).execute(args),
    subscribe: (args: ExecutionArgs) => executorOf(args).subscribe(args),
    async onSubscribe(ctx, _id, { variables }) {
      const { request: req, socket } = ctx.extra;
      const enveloped = yoga.getEnveloped({ req, socket, params: { query, variables } }) as Enveloped;
      const { schema, execute, subscribe, contextFactory } = enveloped;
      return {
        schema,
        document,
        variableValues: variables,
        contextValue: await contextFactory(),
        rootValue: { execute, subscribe },
      };
    },
  },
  sockets,
  60_000,
);
const listening = listen(server);

async function reply(id: string): Promise<void> {
  await readModel(model, (text) => pubSub.publish('conversation', id, { __typename: 'FragmentDelta', text }));
  pubSub.publish('conversation', id, { __typename: 'MessageCompleted' });
}

obey(proxyCommands(listening, reply));
