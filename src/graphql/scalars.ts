import { DateTimeResolver, JSONObjectResolver, JSONResolver, URLResolver } from 'graphql-scalars';
import { GraphQLScalarType } from 'graphql';
import { builder } from './builder.ts';
import { badUserInput } from './errors.ts';
import { instantText } from './instant.ts';

/** A scalar of the library with its own description and specification URL. */
function described<I, O>(scalar: GraphQLScalarType<I, O>, name: string, description: string, specifiedByURL: string) {
  return new GraphQLScalarType({ ...scalar.toConfig(), name, description, specifiedByURL, extensions: {} });
}

/** As text, since `JSON.stringify` takes several times as long for a `Date`. */
const DateTimeAsText = new GraphQLScalarType<Date, string>({
  ...DateTimeResolver.toConfig(),
  serialize: (value) => instantText(DateTimeResolver.serialize(value)),
});

builder.addScalarType(
  'DateTime',
  described(
    DateTimeAsText,
    'DateTime',
    'An instant in UTC, RFC 3339 with milliseconds: `2026-01-31T12:00:00.000Z`.',
    'https://scalars.graphql.org/andimarek/date-time.html',
  ),
);
builder.addScalarType(
  'JSON',
  described(JSONResolver, 'JSON', 'Any JSON value.', 'https://www.rfc-editor.org/rfc/rfc8259'),
);
builder.addScalarType(
  'JSONObject',
  described(JSONObjectResolver, 'JSONObject', 'A JSON object.', 'https://www.rfc-editor.org/rfc/rfc8259#section-4'),
);
builder.addScalarType(
  'URL',
  described(URLResolver, 'URL', 'An absolute `https:` or `http:` URL.', 'https://url.spec.whatwg.org/'),
);
builder.scalarType('EventCursor', {
  description:
    "A place in a conversation's event stream. Opaque, never expires, and valid on every server, for that conversation and for " +
    'the streams of its replies. Not a pagination cursor.',
  serialize: (value) => value,
  parseValue: (value) => {
    if (typeof value === 'string' && value.length <= 1024) return value;
    throw badUserInput('An EventCursor is a string of at most 1024 characters.');
  },
});
builder.scalarType('EventPosition', {
  description: 'A place in the event log of the organization. Opaque, never expires, and valid on every server.',
  serialize: (value) => value,
  parseValue: (value) => {
    if (typeof value === 'string') return value;
    throw badUserInput('An EventPosition is a string.');
  },
});
builder.scalarType('ChangeCursor', {
  description:
    'A place in the changes of all conversations. Opaque, valid on every server, and good for at least an hour. Not a pagination ' +
    'cursor.',
  serialize: (value) => value,
  parseValue: (value) => {
    if (typeof value === 'string') return value;
    throw badUserInput('A ChangeCursor is a string.');
  },
});
