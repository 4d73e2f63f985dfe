import { visibleTo } from '../../access/visibility.ts';
import { InboxChannel } from '../../generated/prisma/enums.ts';
import { builder } from '../../graphql/builder.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import { isJsonObject } from '../../json.ts';
import { type AttendedHours, attendanceOf, isAttended, nextAttended, type weekdays } from '../attendance.ts';

export const InboxChannelRef = builder.enumType('InboxChannel', {
  description: 'The kind of channel. More values may come.',
  values: {
    [InboxChannel.WEB_CHAT]: {
      description: 'A chat on a web page or in an app. Its visitors begin with `startVisit`.',
    },
    [InboxChannel.EMAIL]: {
      description: 'Email. Letters are given to it by `POST /email/<secret>`, and messages go out as letters.',
    },
    [InboxChannel.API]: { description: 'A program.' },
    [InboxChannel.OTHER]: { description: 'Anything else.' },
    [InboxChannel.MESSAGING]: {
      description: 'A messaging service, such as WhatsApp, LINE or Messenger, that a program of yours connects.',
    },
    [InboxChannel.SMS]: { description: 'Text messages, which a program of yours sends and receives.' },
    [InboxChannel.VOICE]: { description: 'Telephone, which a program of yours makes text of.' },
  } as const,
});

export const WeekdayRef = builder.enumType('Weekday', {
  description: 'A day of the week.',
  values: {
    MONDAY: { description: 'Monday.' },
    TUESDAY: { description: 'Tuesday.' },
    WEDNESDAY: { description: 'Wednesday.' },
    THURSDAY: { description: 'Thursday.' },
    FRIDAY: { description: 'Friday.' },
    SATURDAY: { description: 'Saturday.' },
    SUNDAY: { description: 'Sunday.' },
  } satisfies Record<(typeof weekdays)[number], object>,
});

const AttendedHoursRef = builder.objectRef<AttendedHours>('AttendedHours').implement({
  description: 'A span of a day in which somebody is there, every week.',
  fields: (t) => ({
    day: t.expose('day', { type: WeekdayRef, description: 'The day.' }),
    from: t.exposeString('from', { description: 'When it begins, `HH:MM` in the time zone of the inbox.' }),
    to: t.exposeString('to', { description: 'When it has ended, `HH:MM`; at most `24:00`.' }),
  }),
});

export const InboxRef = builder.prismaNode('Inbox', {
  description: 'A channel through which conversations arrive.',
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).inbox }),
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the inbox.' }),
    channel: t.expose('channel', { type: InboxChannelRef, description: 'The kind of channel.' }),
    agent: t.relation('agent', {
      nullable: true,
      description: 'The agent that answers conversations of this inbox that name no agent.',
    }),
    publicKey: t.exposeString(
      'publicKey',
      operatorsOnly('Of a web chat: what a page gives as `inboxKey` to start a visit. `web_…`'),
    ),
    allowedOrigins: t.expose('allowedOrigins', {
      type: ['URL'],
      ...operatorsOnly('Of a web chat: the origins whose pages may start a visit. Empty: all.'),
    }),
    allowsAnonymous: t.exposeBoolean('allowsAnonymous', {
      description: 'Of a web chat: whether visitors may write whom nobody has named.',
    }),
    address: t.exposeString('address', operatorsOnly('Of an email inbox: the address that it is reached at.')),
    emailInbox: t.relation(
      'emailInbox',
      operatorsOnly(
        'Of a web chat: the email inbox by which its conversations go on when the contact has left and has an address. Null: they do not.',
      ),
    ),
    timeZone: t.exposeString('timeZone', operatorsOnly('The time zone of `hours`, such as `Europe/Berlin`.')),
    hours: t.field({
      type: [AttendedHoursRef],
      ...operatorsOnly('When somebody is there. Null: nobody has said, and somebody is always expected. Empty: never.'),
      resolve: (row) => attendanceOf(row).hours,
    }),
    attended: t.boolean({
      description: 'Whether somebody is there now, by the hours of the inbox. Without hours: true.',
      resolve: (row) => isAttended(attendanceOf(row), new Date()),
    }),
    nextAttendedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When somebody comes next. Null while somebody is there, and if nobody ever is.',
      resolve: (row) => nextAttended(attendanceOf(row), new Date()),
    }),
    awayMessage: t.exposeString('awayMessage', {
      nullable: true,
      description: 'What to tell people when nobody is there: who helps them then, for example.',
    }),
    metadata: t.field({
      type: 'JSONObject',
      ...operatorsOnly(),
      resolve: ({ metadata }) => (isJsonObject(metadata) ? metadata : {}),
    }),
  }),
});
