import DataLoader from 'dataloader';
import type { Viewer } from '../access/viewer.ts';
import { attachmentsOf } from '../attachments/of-messages.ts';
import { ReadMarks } from '../conversations/lists/read-marks.ts';
import { type Companions, readCompanionsWithin } from '../conversations/log/companions.ts';
import { type FragmentRow, readFragmentsWithin } from '../conversations/log/read.ts';
import type { ConversationServices } from '../conversations/services.ts';
import type { Attachment } from '../generated/prisma/client.ts';
import type { OperationBudget } from './budget.ts';

/**
 * Batches the look-ups of one operation that are made at the same time. Caches nothing, since a subscription lives through many
 * changes. What an operation does not look up is not made for it.
 */
export class Loaders {
  private readonly services: Pick<ConversationServices, 'pool' | 'prisma'>;
  private readonly viewer: Viewer;
  private readonly budget: OperationBudget;
  private ofFragments: DataLoader<string, FragmentRow[]> | null = null;
  private ofCompanions: DataLoader<string, Companions | null> | null = null;
  private ofAttachments: DataLoader<string, Attachment[]> | null = null;
  private ofReadMarks: ReadMarks | null = null;

  constructor(services: Pick<ConversationServices, 'pool' | 'prisma'>, viewer: Viewer, budget: OperationBudget) {
    this.services = services;
    this.viewer = viewer;
    this.budget = budget;
  }

  /** The fragments of messages, as far as the operation may still read them. */
  get fragments(): DataLoader<string, FragmentRow[]> {
    return (this.ofFragments ??= new DataLoader(
      async (ids) => {
        const byMessage = new Map<string, FragmentRow[]>(ids.map((id) => [id, []]));
        const { pool } = this.services;
        const { rows, bytes } = await readFragmentsWithin(pool, [...byMessage.keys()], this.budget.readable);
        this.budget.addRead(bytes);
        for (const row of rows) byMessage.get(row.messageId)?.push(row);
        return ids.map((id) => byMessage.get(id) ?? []);
      },
      { cache: false },
    ));
  }

  /** The companions of messages, as far as the operation may still read them. */
  get companions(): DataLoader<string, Companions | null> {
    return (this.ofCompanions ??= new DataLoader(
      async (ids) => {
        const { rows, bytes } = await readCompanionsWithin(this.services.pool, [...new Set(ids)], this.budget.readable);
        this.budget.addRead(bytes);
        const byMessage = new Map(rows.map((row) => [row.id, row]));
        return ids.map((id) => byMessage.get(id) ?? null);
      },
      { cache: false },
    ));
  }

  /** The attachments of messages, which the viewer sees. */
  get attachments(): DataLoader<string, Attachment[]> {
    return (this.ofAttachments ??= new DataLoader(attachmentsOf(this.services.prisma), { cache: false }));
  }

  get readMarks(): ReadMarks {
    return (this.ofReadMarks ??= new ReadMarks(this.services.pool, this.viewer));
  }
}
