import { GraphQLError, type GraphQLResolveInfo } from 'graphql';
import { encodeId } from '../ids.ts';

/** What a mutation has committed, as far as a client needs it to go on from there. */
interface CommittedChange {
  version: number;
  messageId: string | null;
  replyId: string | null;
}

/** What the mutations of one operation have committed: told in `extensions.committed` of each error below them. */
export class CommittedChanges {
  private readonly byField = new Map<string | number, CommittedChange>();

  /** Notes the change that the payload at this place of the response shows. */
  note({ path }: GraphQLResolveInfo, { version, messageId, replyId }: CommittedChange): void {
    let root = path;
    while (root.prev) root = root.prev;
    this.byField.set(root.key, { version, messageId, replyId });
  }

  /** The errors, each with what its mutation committed. */
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

/** The errors of an operation with what it has committed, whatever its context is. */
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
