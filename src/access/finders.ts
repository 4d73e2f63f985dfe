import type { PrismaClient } from '../db.ts';
import type { IdType } from '../ids.ts';
import type { Viewer } from './viewer.ts';
import { type Seer, visibleTo } from './visibility.ts';

/** Who looks, and where: whoever is confined to some rows, or also what their credential allows. */
export interface FinderContext<Who = Seer> {
  services: { prisma: PrismaClient };
  viewer: Who;
}

type Finder = (context: FinderContext<Viewer>, ids: string[]) => Promise<{ id: string }[]>;

/** The rows of one type that have one of these ids and that the viewer may see, in no order. One statement each. */
export const finders = {
  Agent: ({ services, viewer }: FinderContext, ids: string[]) =>
    services.prisma.agent.findMany({ where: { id: { in: ids }, AND: visibleTo(viewer).agent } }),
  ApiKey: ({ services, viewer: { organizationId, scopes } }: FinderContext<Viewer>, ids: string[]) =>
    scopes.includes('admin')
      ? services.prisma.apiKey.findMany({ where: { id: { in: ids }, organizationId } })
      : nothing,
  Article: ({ services, viewer }: FinderContext, ids: string[]) =>
    services.prisma.article.findMany({ where: { id: { in: ids }, corpus: visibleTo(viewer).corpus } }),
  Attachment: ({ services, viewer }: FinderContext, ids: string[]) =>
    services.prisma.attachment.findMany({ where: { id: { in: ids }, AND: visibleTo(viewer).attachment } }),
  Contact: ({ services, viewer }: FinderContext, ids: string[]) =>
    services.prisma.contact.findMany({ where: { id: { in: ids }, AND: visibleTo(viewer).contact } }),
  Conversation: ({ services, viewer }: FinderContext, ids: string[]) =>
    services.prisma.conversation.findMany({ where: { id: { in: ids }, AND: visibleTo(viewer).conversation } }),
  Corpus: ({ services, viewer }: FinderContext, ids: string[]) =>
    services.prisma.corpus.findMany({ where: { id: { in: ids }, AND: visibleTo(viewer).corpus } }),
  Erasure: ({ services, viewer: { organizationId, scopes } }: FinderContext<Viewer>, ids: string[]) =>
    scopes.includes('read')
      ? services.prisma.job.findMany({ where: { id: { in: ids }, organizationId, kind: 'ERASURE' } })
      : nothing,
  Export: ({ services, viewer: { organizationId, scopes } }: FinderContext<Viewer>, ids: string[]) =>
    scopes.includes('read')
      ? services.prisma.job.findMany({ where: { id: { in: ids }, organizationId, kind: 'EXPORT' } })
      : nothing,
  Handoff: ({ services, viewer }: FinderContext, ids: string[]) =>
    services.prisma.handoff.findMany({ where: { id: { in: ids }, AND: visibleTo(viewer).handoff } }),
  Inbox: ({ services, viewer }: FinderContext, ids: string[]) =>
    services.prisma.inbox.findMany({ where: { id: { in: ids }, AND: visibleTo(viewer).inbox } }),
  Letter: ({ services, viewer: { organizationId, scopes } }: FinderContext<Viewer>, ids: string[]) =>
    scopes.includes('read') ? services.prisma.letter.findMany({ where: { id: { in: ids }, organizationId } }) : nothing,
  Message: ({ services, viewer }: FinderContext, ids: string[]) =>
    services.prisma.message.findMany({ where: { id: { in: ids }, AND: visibleTo(viewer).message } }),
  Organization: ({ services, viewer: { organizationId, scopes } }: FinderContext<Viewer>, ids: string[]) =>
    scopes.includes('read')
      ? services.prisma.organization.findMany({ where: { AND: [{ id: { in: ids } }, { id: organizationId }] } })
      : nothing,
  Operator: ({ services, viewer }: FinderContext, ids: string[]) =>
    services.prisma.operator.findMany({ where: { id: { in: ids }, AND: visibleTo(viewer).operator } }),
  UnansweredQuestion: ({ services, viewer }: FinderContext, ids: string[]) =>
    services.prisma.unansweredQuestion.findMany({ where: { id: { in: ids }, corpus: visibleTo(viewer).corpus } }),
  Webhook: ({ services, viewer: { organizationId, scopes } }: FinderContext<Viewer>, ids: string[]) =>
    scopes.includes('admin')
      ? services.prisma.webhook.findMany({ where: { id: { in: ids }, organizationId, deletedAt: null } })
      : nothing,
  WebhookDelivery: ({ services, viewer: { organizationId, scopes } }: FinderContext<Viewer>, ids: string[]) =>
    scopes.includes('admin')
      ? services.prisma.webhookDelivery.findMany({
          where: { id: { in: ids }, organizationId, webhook: { deletedAt: null } },
          omit: { payload: true },
        })
      : nothing,
} satisfies Record<IdType, Finder>;

const nothing = Promise.resolve([]);

/** The one row that was looked for; null if it does not exist or the viewer may not see it. */
export async function theOne<T>(rows: Promise<T[]>): Promise<T | null> {
  return (await rows)[0] ?? null;
}
