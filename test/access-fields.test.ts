import {
  graphql,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
  isIntrospectionType,
  isObjectType,
} from 'graphql';
import { describe, expect, test } from 'vitest';
import { endUserFields } from '../src/access/visible-fields.ts';
import { hideFromEndUsers, operatorsOnly } from '../src/graphql/operators-only.ts';
import { schema } from '../src/graphql/schema.ts';

const objects = Object.values(schema.getTypeMap()).filter((type) => isObjectType(type) && !isIntrospectionType(type));
const roots = ['Query', 'Mutation', 'Subscription'];

/**
 * Fields of what operators alone are given: the payloads of their mutations, and what only their events carry. They are hidden
 * from client tokens like all that is not listed.
 */
const ofOperatorsTypes = [
  'AcceptHandoffPayload.handoff',
  'AddAgentMessagePayload.message',
  'AddNotePayload.message',
  'AgentInUseError.agent',
  'AgentInUseError.usedBy',
  'ContactBlockedError.contact',
  'EndHandoffPayload.handoff',
  'NotHandedOffError.conversation',
  'OperatorSuspendedError.operator',
  'SendControlPayload.message',
  'SendControlPayload.reply',
  'StartEmailConversationPayload.message',
  'StateChanged.after',
  'StateChanged.before',
  'TakeOverPayload.handoff',
  'TransferHandoffPayload.handoff',
];

describe('the fields of what an end user is given', () => {
  test('are listed as theirs, or say that they are for operators', () => {
    const silent = objects.flatMap((type) => {
      if (!isObjectType(type) || roots.includes(type.name)) return [];
      const own = type.getInterfaces().filter(({ name }) => name !== 'Node');
      const lists = [type, ...own].flatMap(({ name }) => endUserFields[name] ?? []);
      if (lists.length === 0) return [];
      return Object.values(type.getFields())
        .filter(({ name, extensions }) => !lists.includes(name) && name !== 'id' && extensions.operatorsOnly !== true)
        .map(({ name }) => `${type.name}.${name}`);
    });
    expect(silent.sort()).toEqual(ofOperatorsTypes);
  });

  test('are listed only where they exist', () => {
    const listed = Object.entries(endUserFields).flatMap(([type, fields]) => fields.map((field) => `${type}.${field}`));
    const missing = listed.filter((name) => {
      const [type = '', field = ''] = name.split('.');
      const known = schema.getType(type);
      return !known || !('getFields' in known) || !(field in known.getFields());
    });
    expect(missing).toEqual([]);
    expect(new Set(listed).size).toBe(listed.length);
  });

  test('are not for operators only by their description alone', () => {
    const said = objects.flatMap((type) =>
      isObjectType(type)
        ? Object.values(type.getFields())
            .filter(({ description }) => description?.includes('OPERATORS ONLY'))
            .filter(({ extensions }) => extensions.operatorsOnly !== true)
            .map(({ name }) => `${type.name}.${name}`)
        : [],
    );
    expect(said).toEqual([]);
  });
});

describe('a field that is added without any rule', () => {
  const message = new GraphQLObjectType({
    name: 'Message',
    fields: {
      text: { type: GraphQLString, resolve: () => 'shown' },
      fresh: { type: GraphQLString, resolve: () => 'secret' },
      required: { type: new GraphQLNonNull(GraphQLString), resolve: () => 'secret' },
    },
  });
  const query = new GraphQLObjectType({ name: 'Query', fields: { message: { type: message, resolve: () => ({}) } } });
  const small = hideFromEndUsers(new GraphQLSchema({ query }));
  const read = (fields: string, confinedTo: object | null) =>
    graphql({ schema: small, source: `{ message { ${fields} } }`, contextValue: { viewer: { confinedTo } } });
  const endUser = { contactId: 'somebody' };

  test('is null for a client token, and is there for an operator', async () => {
    expect((await read('text fresh', endUser)).data).toEqual({ message: { text: 'shown', fresh: null } });
    expect((await read('text fresh required', null)).data).toEqual({
      message: { text: 'shown', fresh: 'secret', required: 'secret' },
    });
  });

  test('is an error for a client token where it cannot be null', async () => {
    const { data, errors } = await read('text required', endUser);
    expect(data).toEqual({ message: null });
    expect(errors).toMatchObject([{ path: ['message', 'required'], extensions: { code: 'FORBIDDEN' } }]);
  });

  test('cannot be both the operators’ and listed', () => {
    const contradictory = new GraphQLObjectType({
      name: 'Message',
      fields: { text: { type: GraphQLString, extensions: operatorsOnly().extensions } },
    });
    const of = { query: new GraphQLObjectType({ name: 'Query', fields: { message: { type: contradictory } } }) };
    expect(() => hideFromEndUsers(new GraphQLSchema(of))).toThrow('Message.text');
  });
});
