import DataLoader from 'dataloader';
import type { ReplyLimits } from '../access/reply-limits.ts';
import type { Standing } from '../access/standing.ts';
import type { Viewer } from '../access/viewer.ts';
import { type FragmentRow, readFragments } from '../conversations/log/read.ts';
import type { ConversationServices } from '../conversations/services.ts';
import type { AgentRuntimes } from '../agents/runtimes.ts';
import type { SchemaChecker } from '../json-schema/checker.ts';
import type { RunningOperations } from '../running-operations.ts';

/** What all operations of this server share. */
export interface Services extends ConversationServices {
  runtimes: AgentRuntimes;
  schemas: SchemaChecker;
  operations: RunningOperations;
  standing: Standing;
  replyLimits: ReplyLimits;
}

/** What resolvers are given. */
export interface GraphQLContext {
  viewer: Viewer;
  services: Services;
  /** Joins the look-ups of one moment; remembers nothing, since a subscription outlives many changes. */
  fragments: DataLoader<string, FragmentRow[]>;
}

export function createContext(services: Services, viewer: Viewer): GraphQLContext {
  const load = async (ids: readonly string[]) => {
    const byMessage = new Map<string, FragmentRow[]>(ids.map((id) => [id, []]));
    for (const row of await readFragments(services.pool, ids)) byMessage.get(row.messageId)?.push(row);
    return ids.map((id) => byMessage.get(id) ?? []);
  };
  return { viewer, services, fragments: new DataLoader(load, { cache: false }) };
}
