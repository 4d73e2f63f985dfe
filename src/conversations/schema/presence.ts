import { finders, theOne } from '../../access/finders.ts';
import { type Person, personOf } from '../../access/person.ts';
import { audienceOf } from '../../access/visibility.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import type { GraphQLContext } from '../../graphql/context.ts';
import { SharedSource } from '../../graphql/delivery/shared-source.ts';
import { notFound } from '../../graphql/errors.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import { decodeId, encodeId } from '../../ids.ts';
import { type AuthorInput as AuthorInputValue, InputReader } from '../commands/input.ts';
import type { Participant, Presence } from '../presence/room.ts';
import { cancellable } from '../stream/stream.ts';
import { AuthorInput, fields } from './inputs.ts';
import { AuthorRef } from './message.ts';

const ParticipantRef = builder.objectRef<Participant>('Participant').implement({
  description: 'Somebody who is in a conversation now, or was lately.',
  fields: (t) => ({
    author: t.field({ type: AuthorRef, description: 'Who it is.', resolve: ({ author }) => author }),
    online: t.exposeBoolean('online', {
      description: 'Whether they follow it now. Gone 30 seconds after the last sign.',
    }),
    typing: t.exposeBoolean('typing', { description: 'Whether they type. Gone 6 seconds after they last said so.' }),
    lastSeenAt: t.expose('lastSeenAt', { type: 'DateTime', ...operatorsOnly('When they were heard of last.') }),
  }),
});

const PresenceRef = builder.objectRef<Presence>('Presence').implement({
  description:
    'Who is in a conversation now. Not stored and not in the event log: each server gathers it from those who follow.',
  fields: (t) => ({
    conversationId: t.id({
      description: 'ID of the conversation.',
      resolve: ({ conversationId }) => encodeId('Conversation', conversationId),
    }),
    participants: t.field({
      type: [ParticipantRef],
      description: 'At most 100. For a client token only who has the handoff.',
      resolve: ({ participants }) => [...participants],
    }),
    contactReadPosition: t.exposeInt(
      'contactReadPosition',
      operatorsOnly('Up to which position the end user has read. Null when unknown.'),
    ),
  }),
});

async function findConversation(context: GraphQLContext, publicId: string): Promise<string | null> {
  const id = decodeId('Conversation', publicId);
  const found = id && (await theOne(finders.Conversation(context, [id])));
  return found ? found.id : null;
}

builder.subscriptionField('conversationPresence', (t) =>
  t.field({
    type: PresenceRef,
    authScopes: { read: true, participate: true },
    description:
      'Who is in a conversation, and whether they type: at once, and again whenever that changes, at most fifty times a second. Whoever ' +
      'follows its events or its presence with a credential of a person is there. It completes when the conversation is deleted.',
    args: { conversationId: t.arg.id({ required: true, description: 'ID of the conversation, `conv_…`.' }) },
    subscribe: async (_root, { conversationId }, context) => {
      const id = await findConversation(context, conversationId);
      if (id === null) throw notFound('There is no such conversation.');
      return new SharedSource(
        context,
        cancellable((signal) => watch(context, id, signal)),
      );
    },
    resolve: (presence) => presence,
  }),
);

async function* watch(
  { services: { presences }, viewer }: GraphQLContext,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<Presence, void, undefined> {
  const leave = presences.enter(id, personOf(viewer));
  try {
    yield* presences.watch(id, audienceOf(viewer), signal);
  } finally {
    leave();
  }
}

const SetTypingInput = builder.inputType('SetTypingInput', {
  description: 'Whether somebody types.',
  fields: (t) => ({
    conversationId: fields.conversationId(t),
    typing: t.boolean({
      required: true,
      description: 'True while they type: again every few seconds, or it ends after 6. False when they stop.',
    }),
    author: t.field({
      type: AuthorInput,
      description:
        'Only operators may give it. The human who types, behind an API key: with `externalId` or `displayName`, as in `Handoff.assignee`.',
    }),
  }),
});

const SetTypingPayload = builder.objectRef<{ typing: boolean }>('SetTypingPayload').implement({
  description: 'It is being told to those who watch.',
  fields: (t) => ({ typing: t.exposeBoolean('typing', { description: 'Whether they type.' }) }),
});

builder.mutationField('setTyping', (t) =>
  t.field({
    type: SetTypingPayload,
    nullable: true,
    authScopes: { write: true, answer: true, participate: true },
    description:
      'Tells those who watch `conversationPresence` that somebody types. Nothing is stored, and `version` stays. Not for a note: that ' +
      'somebody writes one is told to nobody.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'SetTypingResult', description: 'The result of `setTyping`.' },
    },
    args: { input: t.arg({ type: SetTypingInput, required: true, description: 'Who types where.' }) },
    resolve: async (_root, { input: { conversationId, typing, author } }, context) => {
      const person = readPerson(context, author);
      const id = await findConversation(context, conversationId);
      if (id === null) throw new NotFoundError(['conversationId']);
      context.services.presences.type(id, person, typing);
      return { typing };
    },
  }),
);

/** Whoever the credential is for; for a key, whom it names. */
function readPerson({ viewer }: GraphQLContext, given: AuthorInputValue | null | undefined): Person {
  const reader = new InputReader();
  const own = personOf(viewer);
  if (own && given) reader.refuse(['author'], 'Is for API keys: your credential says who you are.');
  const author = reader.author(['author'], given ?? {});
  const name = author.externalId ?? author.displayName ?? '';
  if (!own && name === '') {
    reader.refuse(['author'], 'An API key is no person: name one by `externalId` or `displayName`.', 'REQUIRED');
  }
  reader.finish();
  return own ?? { id: `${viewer.id} ${name}`, author: { kind: 'HUMAN_AGENT', ...author } };
}
