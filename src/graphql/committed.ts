import { GraphQLError, type GraphQLResolveInfo } from 'graphql';
import { encodeId } from '../ids.ts';

/** What a client needs to know of a committed change to proceed. */
interface CommittedChange {
  version: number;
  messageId: string | null;
  replyId: string | null;
}

/** What the mutations of one operation have committed. Errors below them carry it in `extensions.committed`. */
export class CommittedChanges {
  private readonly byField = new Map<string | number, CommittedChange>();

  /** Records the change shown by the payload at this path of the response. */
  note({ path }: GraphQLResolveInfo, { version, messageId, replyId }: CommittedChange): void {
    let root = path;
    while (root.prev) root = root.prev;
    this.byField.set(root.key, { version, messageId, replyId });
  }

  /** The errors, each with what its mutation has committed. */
  addTo<T>(errors: readonly T[]): readonly (T | GraphQLError)[] {
    if (this.byField.size === 0) return errors;
    return errors.map((error) => (error instanceof GraphQLError ? this.withCommitted(error) : error));
  }

  private withCommitted(error: GraphQLError): GraphQLError {
    const change = this.byField.get(error.path?.[0] ?? '');
    if (!change) return error;
    const id = (uuid: string | null) => (uuid === null ? null : encodeId('Message', uuid));
    const committed = { version: change.version, messageId: id(change.messageId), replyId: id(change.replyId) };
    const { message, nodes, source, positions, path, originalError, extensions } = error;
    return new GraphQLError(message, {
      nodes,
      source,
      positions,
      path,
      originalError,
      extensions: { ...extensions, committed },
    });
  }
}

/** Adds to the errors of an operation what it has committed. Accepts any context, also of an operation that never began. */
export function tellCommitted<T>(errors: readonly T[], context: unknown): readonly (T | GraphQLError)[] {
  return hasChanges(context) ? context.committed.addTo(errors) : errors;
}

function hasChanges(context: unknown): context is { committed: CommittedChanges } {
  return (
    typeof context === 'object' &&
    context !== null &&
    'committed' in context &&
    context.committed instanceof CommittedChanges
  );
}
