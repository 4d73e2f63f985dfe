import { badUserInput } from '../../graphql/errors.ts';
import { builder } from '../../graphql/builder.ts';
import { checkPage, pageSize } from '../../graphql/connection.ts';
import { followOrganization, type OrganizationEvent, readOrganizationEvents } from '../lists/organization-events.ts';
import { beginning, decodeEventPosition, encodeEventPosition, type EventPosition, readEnd } from '../log/tail.ts';
import type { ConversationServices } from '../services.ts';
import { cancellable } from '../stream/stream.ts';
import { rowsOf } from './event-rows.ts';
import { ConversationEventRef, inPlace, type LoggedEvent } from './events.ts';

interface PlacedEvent {
  position: string;
  event: LoggedEvent;
}

const OrganizationEventRef = builder.objectRef<PlacedEvent>('OrganizationEvent').implement({
  description: 'An event of any conversation of the organization, with its place in the log.',
  fields: (t) => ({
    position: t.expose('position', {
      type: 'EventPosition',
      description: 'Pass it as `after` to go on after this event.',
    }),
    event: t.field({
      type: ConversationEventRef,
      description: 'What happened. Never a fragment event.',
      resolve: ({ event }) => event,
    }),
  }),
});

/** Order and completeness, the same for both ways to read. */
const order =
  'Each committed event comes once; those of one conversation are in the order of their versions. Of a deleted conversation only ' +
  '`ConversationDeleted` remains.';

builder.queryField('organizationEvents', (t) =>
  t.connection(
    {
      type: OrganizationEventRef,
      authScopes: { $all: { admin: true, read: true } },
      description:
        `The event log of all conversations, oldest first. ${order} Its cursors are \`EventPosition\`s, and \`endCursor\` is the place to ` +
        'go on from even if the page is empty. A page may be short although more follow: go on while `hasNextPage`. There is no ' +
        'paging backwards: `last` and `before` are refused.',
      resolve: async (_root, args, { services, viewer }) => {
        checkPage(args);
        if (args.last != null || args.before != null) throw badUserInput('This list can only be read forwards.');
        const from = args.after == null ? beginning : decode(args.after);
        const limit = args.first ?? pageSize.defaultSize;
        const { events, position, more } = await readOrganizationEvents(
          services.pool,
          viewer.organizationId,
          from,
          limit,
        );
        const edges = events.map((found) => ({ cursor: found.position, node: placed(services, found) }));
        return {
          edges,
          pageInfo: {
            hasNextPage: more,
            hasPreviousPage: args.after != null,
            startCursor: edges[0]?.cursor ?? null,
            endCursor: encodeEventPosition(position),
          },
        };
      },
    },
    { name: 'OrganizationEventConnection', description: 'A page of the log of the organization.' },
    { name: 'OrganizationEventEdge', description: 'An entry of a page.' },
  ),
);

builder.subscriptionField('organizationEvents', (t) =>
  t.field({
    type: OrganizationEventRef,
    authScopes: { $all: { admin: true, read: true } },
    description:
      `The event log of all conversations after a position, then as it grows, within about a second. ${order} Without \`after\`: from ` +
      'now on. To resume, pass the position of the last event that you have received.',
    args: {
      after: t.arg({
        type: 'EventPosition',
        description: 'Start after this place: a `position`, or a cursor of the query `organizationEvents`.',
      }),
    },
    subscribe: async (_root, { after }, { services, viewer }) => {
      const from = after == null ? await readEnd(services.pool) : decode(after);
      return cancellable((signal) =>
        shown(services, followOrganization(services, viewer.organizationId, from, signal)),
      );
    },
    resolve: (event) => event,
  }),
);

/** Leaves out what is deleted while it is read: its `ConversationDeleted` follows. */
async function* shown(
  services: ConversationServices,
  events: AsyncIterable<OrganizationEvent>,
): AsyncGenerator<PlacedEvent, void, undefined> {
  for await (const found of events) {
    const rows = await rowsOf(services, 'OPERATORS', found.conversationId, found.event);
    const { position, event } = placed(services, found);
    if (rows) yield { position, event: { ...event, ...rows } };
  }
}

function placed(services: ConversationServices, { conversationId, event, position }: OrganizationEvent): PlacedEvent {
  return { position, event: inPlace(services, conversationId, event) };
}

function decode(text: string): EventPosition {
  const position = decodeEventPosition(text);
  if (!position) throw badUserInput('The position is malformed.');
  return position;
}
