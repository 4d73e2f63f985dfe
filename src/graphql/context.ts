import DataLoader from 'dataloader';
import type { ReplyLimits } from '../access/reply-limits.ts';
import type { Standing } from '../access/standing.ts';
import type { Viewer } from '../access/viewer.ts';
import type { VisitLimit } from '../access/visit-limit.ts';
import { type FragmentRow, readFragmentsWithin } from '../conversations/log/read.ts';
import { ReadMarks } from '../conversations/lists/read-marks.ts';
import type { ConversationServices } from '../conversations/services.ts';
import type { AgentRuntimes } from '../agents/runtimes.ts';
import type { JobWatch } from '../jobs/watch.ts';
import type { KnowledgeBase } from '../knowledge/knowledge-base.ts';
import { attachmentsOf } from '../attachments/of-messages.ts';
import type { Attachment } from '../generated/prisma/client.ts';
import { CommittedChanges } from './committed.ts';
import { OperationBudget } from './budget.ts';
import type { Wire } from './delivery/wire.ts';
import type { PayloadMaker } from '../webhooks/model.ts';
import type { Webhooks } from '../webhooks/webhooks.ts';
import type { SchemaChecker } from '../json-schema/checker.ts';
import type { RunningOperations } from '../running-operations.ts';

/** Shared by all operations of this server. */
export interface Services extends ConversationServices {
  runtimes: AgentRuntimes;
  schemas: SchemaChecker;
  knowledge: KnowledgeBase;
  runningOperations: RunningOperations;
  standing: Standing;
  visitLimit: VisitLimit;
  replyLimits: ReplyLimits;
  payloads: PayloadMaker;
  webhooks: Webhooks;
  jobWatch: JobWatch;
  /** Where clients reach the servers, for addresses that they are given. */
  publicUrl: string;
}

/** The context of a resolver. */
export interface GraphQLContext {
  viewer: Viewer;
  services: Services;
  /** What this operation may still read and return. */
  budget: OperationBudget;
  /** Batches look-ups made at the same time. It caches nothing, since a subscription lives through many changes. */
  fragments: DataLoader<string, FragmentRow[]>;
  /** Batches look-ups of the attachments of messages, which the viewer sees. Caches nothing. */
  attachments: DataLoader<string, Attachment[]>;
  /** Batches look-ups of read marks, and caches nothing either. */
  readMarks: ReadMarks;
  /** What the operation has committed so far. */
  committed: CommittedChanges;
  /** Where the results of a subscription may be written. Null where that is not possible. */
  wire: Wire | null;
  /** The origin of the page that asks. Null for programs, and over WebSocket. */
  origin: string | null;
}

export function createContext(
  services: Services,
  viewer: Viewer,
  wire: Wire | null = null,
  origin: string | null = null,
): GraphQLContext {
  const budget = new OperationBudget();
  const load = async (ids: readonly string[]) => {
    const byMessage = new Map<string, FragmentRow[]>(ids.map((id) => [id, []]));
    const { rows, bytes } = await readFragmentsWithin(services.pool, [...byMessage.keys()], budget.readable);
    budget.addRead(bytes);
    for (const row of rows) byMessage.get(row.messageId)?.push(row);
    return ids.map((id) => byMessage.get(id) ?? []);
  };
  const fragments = new DataLoader(load, { cache: false });
  const attachments = new DataLoader(attachmentsOf(services.prisma), { cache: false });
  const readMarks = new ReadMarks(services.pool, viewer);
  return {
    viewer,
    services,
    budget,
    fragments,
    attachments,
    readMarks,
    committed: new CommittedChanges(),
    wire,
    origin,
  };
}
