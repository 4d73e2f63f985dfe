import SchemaBuilder from '@pothos/core';
import ErrorsPlugin from '@pothos/plugin-errors';
import PrismaPlugin from '@pothos/plugin-prisma';
import RelayPlugin from '@pothos/plugin-relay';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import type { Scope } from '../access/viewer.ts';
import type PrismaTypes from '../generated/pothos.ts';
import { getDatamodel } from '../generated/pothos.ts';
import { encodeId, type IdType } from '../ids.ts';
import type { JsonObject } from '../json.ts';
import type { GraphQLContext } from './context.ts';
import { credentialsFor } from './credentials.ts';
import { forbidden } from './errors.ts';

/** The types that all parts of the schema are built from. */
interface SchemaTypes {
  PrismaTypes: PrismaTypes;
  Context: GraphQLContext;
  DefaultFieldNullability: false;
  DefaultEdgesNullability: false;
  DefaultNodeNullability: false;
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: Date; Output: Date };
    JSON: { Input: unknown; Output: unknown };
    JSONObject: { Input: Record<string, unknown>; Output: JsonObject };
    URL: { Input: URL; Output: string };
    EventCursor: { Input: string; Output: string };
    ChangeCursor: { Input: string; Output: string };
    EventPosition: { Input: string; Output: string };
    WebhookEvent: { Input: string; Output: string };
    LocalDate: { Input: string; Output: string };
  };
  AuthScopes: Record<Scope, boolean>;
}

export const builder = new SchemaBuilder<SchemaTypes>({
  plugins: [ErrorsPlugin, ScopeAuthPlugin, PrismaPlugin, RelayPlugin],
  defaultFieldNullability: false,
  errors: { directResult: true },
  scopeAuth: {
    authorizeOnSubscribe: true,
    authScopes: ({ viewer: { scopes } }) => ({
      read: scopes.includes('read'),
      write: scopes.includes('write'),
      admin: scopes.includes('admin'),
      answer: scopes.includes('answer'),
      participate: scopes.includes('participate'),
      startConversation: scopes.includes('startConversation'),
      askForHuman: scopes.includes('askForHuman'),
      regenerate: scopes.includes('regenerate'),
      rate: scopes.includes('rate'),
      upload: scopes.includes('upload'),
      end: scopes.includes('end'),
      visit: scopes.includes('visit'),
    }),
    unauthorizedError: (_parent, _context, { parentType, fieldName }) =>
      forbidden(credentialsFor(parentType.getFields()[fieldName]) ?? 'nobody'),
  },
  prisma: {
    client: ({ services }) => services.prisma,
    dmmf: getDatamodel(),
    onUnusedQuery: null,
    exposeDescriptions: false,
  },
  relay: {
    encodeGlobalID: (type, id) => encodeId(type as IdType, String(id)),
    nodeQueryOptions: false,
    nodesQueryOptions: false,
    idFieldOptions: { description: 'Globally unique ID.' },
    firstArgOptions: { description: 'Return the first N, 1 to 100.' },
    lastArgOptions: { description: 'Return the last N, 1 to 100.' },
    afterArgOptions: { description: 'Return what comes after this pagination cursor.' },
    beforeArgOptions: { description: 'Return what comes before this pagination cursor.' },
    edgesFieldOptions: { description: 'The entries of the page, each with its pagination cursor.' },
    nodeFieldOptions: { description: 'The entry itself.', nullable: false },
    cursorFieldOptions: {
      description: 'A pagination cursor. Pass it as `after` or `before` to the same list in the same order.',
    },
    pageInfoFieldOptions: { description: 'The ends of the page, and whether there are further pages.' },
    hasNextPageFieldOptions: {
      description: 'Whether more entries follow. When paging backwards: whether `before` was given.',
    },
    hasPreviousPageFieldOptions: {
      description: 'Whether entries precede this page. When paging forwards: whether `after` was given.',
    },
    startCursorFieldOptions: { description: 'The cursor of the first entry. Null on an empty page.' },
    endCursorFieldOptions: { description: 'The cursor of the last entry. Null on an empty page.' },
    nodeTypeOptions: { description: 'An object with a globally unique ID.' },
    pageInfoTypeOptions: {
      description: 'Page information as Relay defines it. There is no `totalCount`: a page never counts rows.',
    },
    nodesOnConnection: { description: 'The entries of the page without cursors.' },
    defaultConnectionFieldOptions: { nullable: false },
  },
});

/** `SchemaTypes` with the builder's defaults, for the types of refs. */
export type BuilderTypes = PothosSchemaTypes.ExtendDefaultTypes<SchemaTypes>;
