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
    authScopes: ({ viewer }) => ({ read: viewer.scopes.includes('read'), write: viewer.scopes.includes('write') }),
    unauthorizedError: () => forbidden(),
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
    nodeTypeOptions: { description: 'An object with a globally unique id.' },
    pageInfoTypeOptions: { description: "Relay's. No `totalCount`: no page ever counts rows." },
    nodeFieldOptions: { nullable: false },
    nodesOnConnection: true,
    defaultConnectionFieldOptions: { nullable: false },
  },
});

/** `SchemaTypes` as the builder completes them, for the types of refs. */
export type BuilderTypes = PothosSchemaTypes.ExtendDefaultTypes<SchemaTypes>;
