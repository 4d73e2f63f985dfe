import type { PrismaClient } from '../db.ts';
import type { IdType } from '../ids.ts';
import type { Viewer } from './viewer.ts';
import { visibleTo } from './visibility.ts';

/** Who looks, and where: whoever is confined to some rows, or also what their credential allows. */
export interface FinderContext<Seer = Pick<Viewer, 'organizationId' | 'confinedTo'>> {
  services: { prisma: PrismaClient };
  viewer: Seer;
}

type Finder = (context: FinderContext<Viewer>, id: string) => Promise<object | null>;

/**
 * How an object of each type is found by its row id, by whoever may see it. `findFirst`, since Prisma reads several
 * `findUnique` of one moment that are not alike in a transaction.
 */
export const finders = {
  Agent: ({ services, viewer }: FinderContext, id: string) =>
    services.prisma.agent.findFirst({ where: { id, AND: visibleTo(viewer).agent } }),
  ApiKey: ({ services, viewer: { organizationId, scopes } }: FinderContext<Viewer>, id: string) =>
    scopes.includes('admin') ? services.prisma.apiKey.findFirst({ where: { id, organizationId } }) : nothing,
  Article: ({ services, viewer }: FinderContext, id: string) =>
    services.prisma.article.findFirst({ where: { id, corpus: visibleTo(viewer).corpus } }),
  Contact: ({ services, viewer }: FinderContext, id: string) =>
    services.prisma.contact.findFirst({ where: { id, AND: visibleTo(viewer).contact } }),
  Conversation: ({ services, viewer }: FinderContext, id: string) =>
    services.prisma.conversation.findFirst({ where: { id, AND: visibleTo(viewer).conversation } }),
  Corpus: ({ services, viewer }: FinderContext, id: string) =>
    services.prisma.corpus.findFirst({ where: { id, AND: visibleTo(viewer).corpus } }),
  Handoff: ({ services, viewer }: FinderContext, id: string) =>
    services.prisma.handoff.findFirst({ where: { id, AND: visibleTo(viewer).handoff } }),
  Inbox: ({ services, viewer }: FinderContext, id: string) =>
    services.prisma.inbox.findFirst({ where: { id, AND: visibleTo(viewer).inbox } }),
  Message: ({ services, viewer }: FinderContext, id: string) =>
    services.prisma.message.findFirst({ where: { id, AND: visibleTo(viewer).message } }),
} satisfies Record<IdType, Finder>;

const nothing = Promise.resolve(null);
