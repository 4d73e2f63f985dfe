import type { GraphQLField, GraphQLSchema } from 'graphql';
import { type ClientGrant, isClientGrant, isKeyScope, type Scope } from '../access/viewer.ts';

/** The scopes that a root field requires: all of them, or any. */
interface Requirement {
  all: boolean;
  scopes: Scope[];
}

/** Adds to the description of every root field which credentials may use it. Throws for a field that does not declare it. */
export function describeCredentials(schema: GraphQLSchema): GraphQLSchema {
  for (const type of [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]) {
    for (const field of Object.values(type?.getFields() ?? {})) {
      const needed = credentialsFor(field);
      if (needed === null) throw new Error(`${type?.name ?? ''}.${field.name} does not declare who may use it`);
      field.description = `${field.description ?? ''}\n\nFor ${needed}.`;
    }
  }
  return schema;
}

/** The grants as the schema names them. */
export const grantNames = {
  startConversation: 'START_CONVERSATION',
  askForHuman: 'ASK_FOR_HUMAN',
  regenerate: 'REGENERATE',
  rate: 'RATE',
  upload: 'UPLOAD',
  end: 'END',
} as const satisfies Record<ClientGrant, string>;

/** Which credentials may use a field, in words, derived from the rule that is enforced. Null if the field has no rule. */
export function credentialsFor(field: GraphQLField<unknown, unknown> | undefined): string | null {
  const { all, scopes } = requirementOf(field?.extensions);
  if (scopes.length === 0) return null;
  const keyScopes = scopes.filter(isKeyScope).map((scope) => `\`${scope.toUpperCase()}\``);
  // An operator of the role AGENT has these, an ADMIN all.
  const ofAgents: Scope[] = ['read', 'answer'];
  const isForAgents = scopes[all ? 'every' : 'some']((scope) => ofAgents.includes(scope));
  const kinds = [
    scopes.includes('visit') && 'requests over HTTP without a credential',
    keyScopes.length > 0 && `API keys with the scope ${keyScopes.join(all ? ' and the scope ' : ' or ')}`,
    isForAgents ? 'operators' : keyScopes.length > 0 && 'operators with the role `ADMIN`',
    scopes.includes('participate') && 'client tokens',
    ...scopes.filter(isClientGrant).map((grant) => `client tokens with the grant \`${grantNames[grant]}\``),
  ];
  return kinds.filter(Boolean).join(', and for ');
}

/** Reads `authScopes` as Pothos stores them, in both forms: any of the scopes, or `$all` of them. */
function requirementOf(extensions: unknown): Requirement {
  const { authScopes } = objectOf(objectOf(extensions).pothosOptions);
  const { $all: every } = objectOf(authScopes);
  const named = Object.entries(objectOf(every ?? authScopes)).filter(([, holds]) => holds === true);
  return { all: every !== undefined, scopes: named.map(([scope]) => scope).filter(isScope) };
}

function isScope(name: string): name is Scope {
  const others: readonly string[] = ['participate', 'answer', 'visit'];
  return others.includes(name) || isKeyScope(name) || isClientGrant(name);
}

function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
