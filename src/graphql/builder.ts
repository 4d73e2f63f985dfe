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

/** The types that every part of the schema is built from. */
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
      participate: scopes.includes('participate'),
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
    idFieldOptions: { description: 'Of this object, and of no other of any type.' },
    firstArgOptions: { description: 'The first so many, 1 to 100.' },
    lastArgOptions: { description: 'The last so many, 1 to 100.' },
    afterArgOptions: { description: 'Those after this pagination cursor.' },
    beforeArgOptions: { description: 'Those before this pagination cursor.' },
    edgesFieldOptions: { description: 'Each with its pagination cursor.' },
    nodeFieldOptions: { description: 'What the list is of.', nullable: false },
    cursorFieldOptions: {
      description: 'A pagination cursor, for `after` and `before` of the same list in the same order.',
    },
    pageInfoFieldOptions: { description: 'Where the page stands.' },
    hasNextPageFieldOptions: { description: 'Whether more follow; when read backwards, whether `before` was given.' },
    hasPreviousPageFieldOptions: {
      description: 'Whether more precede; when read forwards, whether `after` was given.',
    },
    startCursorFieldOptions: { description: 'Of the first; null on an empty page.' },
    endCursorFieldOptions: { description: 'Of the last; null on an empty page.' },
    nodeTypeOptions: { description: 'An object with a globally unique id.' },
    pageInfoTypeOptions: { description: "Relay's. No `totalCount`: no page ever counts rows." },
    nodesOnConnection: { description: 'What the list is of, without cursors.' },
    defaultConnectionFieldOptions: { nullable: false },
  },
});

/** `SchemaTypes` as the builder completes them, for the types of refs. */
export type BuilderTypes = PothosSchemaTypes.ExtendDefaultTypes<SchemaTypes>;
