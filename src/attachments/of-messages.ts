import type { PrismaClient } from '../db.ts';
import type { Attachment } from '../generated/prisma/client.ts';

/** The attachments of each of these messages, in one statement, in their order. The caller has checked that the messages may be seen. */
export function attachmentsOf(prisma: PrismaClient): (messageIds: readonly string[]) => Promise<Attachment[][]> {
  return async (messageIds) => {
    const rows = await prisma.attachment.findMany({
      where: { messageId: { in: [...messageIds] }, deletedAt: null },
      orderBy: { place: 'asc' },
    });
    const byMessage = new Map<string, Attachment[]>(messageIds.map((id) => [id, []]));
    for (const row of rows) byMessage.get(row.messageId ?? '')?.push(row);
    return messageIds.map((id) => byMessage.get(id) ?? []);
  };
}
