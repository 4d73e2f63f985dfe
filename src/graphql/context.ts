import type { ReplyLimits } from '../access/reply-limits.ts';
import type { Standing } from '../access/standing.ts';
import type { Viewer } from '../access/viewer.ts';
import type { VisitLimit } from '../access/visit-limit.ts';
import type { ConversationServices } from '../conversations/services.ts';
import type { AgentRuntimes } from '../agents/runtimes.ts';
import type { JobWatch } from '../jobs/watch.ts';
import type { KnowledgeBase } from '../knowledge/knowledge-base.ts';
import { CommittedChanges } from './committed.ts';
import { OperationBudget } from './budget.ts';
import type { Wire } from './delivery/wire.ts';
import { Loaders } from './loaders.ts';
import { ClockedPool } from '../clocked-pool.ts';
import { WorkClock } from '../work-clock.ts';
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
  /** Those of the server, within the time of the operation. */
  services: Services;
  /** How long the operation may still work. */
  clock: WorkClock;
  /** What this operation may still read and return. */
  budget: OperationBudget;
  loaders: Loaders;
  /** What the operation has committed so far. */
  committed: CommittedChanges;
  /** Where the results of a subscription may be written. Null where that is not possible. */
  wire: Wire | null;
  /** The origin of the page that asks. Null for programs, and over WebSocket. */
  origin: string | null;
}

/** How long an operation may work, in milliseconds. Waiting for a reply does not count. */
const WORK_MS = 30_000;

export function createContext(
  services: Services,
  viewer: Viewer,
  wire: Wire | null = null,
  origin: string | null = null,
): GraphQLContext {
  const clock = new WorkClock(WORK_MS);
  const own = { ...services, clock, pool: new ClockedPool(services.pool, clock) };
  const budget = new OperationBudget();
  const loaders = new Loaders(own, viewer, budget);
  return { viewer, services: own, clock, budget, loaders, committed: new CommittedChanges(), wire, origin };
}
