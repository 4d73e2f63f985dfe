import { type DocumentNode, type ExecutionArgs, type ExecutionResult, Kind, visit } from 'graphql';
import type { Viewer } from '../../access/viewer.ts';
import type { Feed } from '../../conversations/stream/feed.ts';
import { createContext, type GraphQLContext } from '../context.ts';
import { execute } from '../execution/execute.ts';
import type { Operation } from './executor.ts';
import { Group } from './group.ts';
import type { LiveSource } from './live-source.ts';

/** The groups of subscribers on this server, over all transports. */
export class Groups {
  private readonly ofFeed = new WeakMap<Feed, Map<string, Group>>();
  private readonly documents = new WeakMap<DocumentNode, { number: number; variables: readonly string[] }>();
  private readonly results = new WeakMap<object, Map<string, Promise<ExecutionResult>>>();
  private documentCount = 0;

  /** The group that a subscriber belongs to, until the returned function is called. */
  enter(source: LiveSource, operation: Operation): { group: Group; leave: () => void } {
    const { feed, selection } = source.stream;
    const groups = this.ofFeed.get(feed) ?? new Map<string, Group>();
    this.ofFeed.set(feed, groups);
    const key = JSON.stringify([selection.key, this.keyOfOperation(operation), keyOfViewer(source.context.viewer)]);
    const group = groups.get(key) ?? new Group(key, source, operation);
    groups.set(group.key, group);
    group.subscribers += 1;
    return {
      group,
      leave() {
        group.subscribers -= 1;
        if (group.subscribers === 0) groups.delete(group.key);
      },
    };
  }

  /** Makes the result of an event for a viewer's operation, once for all subscribers with the same who are given the same object. */
  shared({ services, viewer }: GraphQLContext, args: ExecutionArgs): (event: object) => Promise<ExecutionResult> {
    const key = JSON.stringify([this.keyOfOperation(args), keyOfViewer(viewer)]);
    return (event) => {
      const results = this.results.get(event) ?? new Map<string, Promise<ExecutionResult>>();
      this.results.set(event, results);
      const result =
        results.get(key) ??
        Promise.resolve(execute({ ...args, contextValue: createContext(services, viewer), rootValue: event }));
      results.set(key, result);
      return result;
    };
  }

  private keyOfOperation({ document, operationName, variableValues = {} }: Operation): unknown {
    let known = this.documents.get(document);
    if (!known) {
      known = { number: (this.documentCount += 1), variables: variablesOfResults(document) };
      this.documents.set(document, known);
    }
    return [known.number, operationName ?? null, known.variables.map((name) => [name, variableValues?.[name] ?? null])];
  }
}

/** All that results can depend on. When a credential expires decides how long a subscriber stays, not what it is told. */
function keyOfViewer({ expiresAt: _, ...viewer }: Viewer): unknown {
  return viewer;
}

/** The variables that results depend on. Arguments of the subscription itself only decide which feed is read, and from where. */
function variablesOfResults(document: DocumentNode): readonly string[] {
  const names = new Set<string>();
  visit(document, {
    OperationDefinition({ selectionSet, directives }) {
      const inResult = {
        Variable: ({ name }: { name: { value: string } }) => void names.add(name.value),
      };
      for (const selection of selectionSet.selections) {
        visit(selection.kind === Kind.FIELD ? { ...selection, arguments: [] } : selection, inResult);
      }
      for (const directive of directives ?? []) visit(directive, inResult);
      return false;
    },
    Variable: ({ name }) => void names.add(name.value),
  });
  return [...names];
}
