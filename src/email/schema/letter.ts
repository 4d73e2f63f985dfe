import { LetterDirection, LetterStatus } from '../../generated/prisma/enums.ts';
import { builder } from '../../graphql/builder.ts';
import { encodeId } from '../../ids.ts';

export const LetterDirectionRef = builder.enumType('LetterDirection', {
  description: 'Which way a letter goes.',
  values: {
    [LetterDirection.IN]: { description: 'From a contact.' },
    [LetterDirection.OUT]: { description: 'To a contact.' },
  } as const,
});

export const LetterStatusRef = builder.enumType('LetterStatus', {
  description: 'How far a letter has come.',
  values: {
    [LetterStatus.WAITING]: { description: 'It waits to be read, or to be sent.' },
    [LetterStatus.DONE]: { description: 'It became a message, or the mail server took it.' },
    [LetterStatus.DROPPED]: { description: 'It became no message, or was not sent; `detail` says why.' },
    [LetterStatus.FAILED]: { description: 'It was refused for good, or no try is left; `detail` says why.' },
    [LetterStatus.BOUNCED]: { description: 'The mail server took it, and it came back later.' },
  } as const,
});

const AutomaticLetterRef = builder.enumType('AutomaticLetter', {
  description: 'Why nobody waits for an answer to a letter. More values may come.',
  values: {
    AUTO_REPLY: { description: 'A machine answered, as when somebody is out of office.' },
    BOUNCE: { description: 'It says that another letter could not be delivered.' },
    LIST: { description: 'It went to a list, or to many.' },
    AGENT: { description: 'The agent wrote it.' },
  } as const,
});

type Automatic = 'AUTO_REPLY' | 'BOUNCE' | 'LIST' | 'AGENT';

function isAutomatic(value: string | null): value is Automatic {
  return value !== null && ['AUTO_REPLY', 'BOUNCE', 'LIST', 'AGENT'].includes(value);
}

export const LetterRef = builder.prismaNode('Letter', {
  description:
    'A letter that came in, or that a message goes out by. Kept as long as its conversation; without one, for 30 days.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, organizationId: viewer.organizationId }),
  fields: (t) => ({
    direction: t.expose('direction', { type: LetterDirectionRef, description: 'Which way it goes.' }),
    status: t.expose('status', { type: LetterStatusRef, description: 'How far it has come.' }),
    detail: t.exposeString('detail', {
      nullable: true,
      description:
        'Why it was dropped, failed or came back, what the last try came to, or what of it could not be read. Null if all went well.',
    }),
    tries: t.exposeInt('tries', {
      description:
        'How often it was given to the mail server; of one that came in, how often its reading came to an end.',
    }),
    mailId: t.exposeString('mailId', {
      nullable: true,
      description: 'Its `Message-ID`, without angle brackets. Null if it has none, or none yet.',
    }),
    sender: t.exposeString('sender', {
      nullable: true,
      description: 'The address in `From`, which can be forged; of one that goes out, where it comes back to.',
    }),
    recipient: t.exposeString('recipient', { nullable: true, description: 'The first address that it went to.' }),
    subject: t.exposeString('subject', { nullable: true, description: 'Its subject.' }),
    verified: t.exposeBoolean('verified', {
      description: "Of one that came in: whether the sender's domain vouches for it (DMARC).",
    }),
    automatic: t.field({
      type: AutomaticLetterRef,
      nullable: true,
      description: 'Why nobody waits for an answer to it, or that the agent wrote it. Null: a human wrote it.',
      resolve: ({ automatic }) => (isAutomatic(automatic) ? automatic : null),
    }),
    wholeText: t.exposeString('wholeText', {
      nullable: true,
      description:
        'Of one that came in: its whole text, with what it quotes, HTML made text. The message has only the new part. At most 200,000 characters.',
    }),
    inbox: t.relation('inbox', { nullable: true, description: 'The email inbox. Null if it was deleted.' }),
    conversation: t.relation('conversation', {
      nullable: true,
      description: 'The conversation. Null if it belongs to none.',
    }),
    messageId: t.id({
      nullable: true,
      description: 'ID of the message that it became, or goes out for. Null if there is none.',
      resolve: ({ messageId }) => (messageId === null ? null : encodeId('Message', messageId)),
    }),
    createdAt: t.expose('createdAt', {
      type: 'DateTime',
      description: 'When it came in, or its message was complete.',
    }),
    doneAt: t.expose('doneAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was dealt with. Null while it waits.',
    }),
  }),
});
