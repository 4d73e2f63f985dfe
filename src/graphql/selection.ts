import { type FieldNode, type GraphQLResolveInfo, Kind, type SelectionSetNode } from 'graphql';

/** A field of an operation, as it is resolved. */
export type Selected = Pick<GraphQLResolveInfo, 'fieldNodes' | 'fragments'>;

/** Finds out whether one of these fields is selected anywhere below a field: once for each field of a document. */
export function selectingBelow(names: readonly string[]): (selected: Selected) => boolean {
  const known = new WeakMap<FieldNode, boolean>();
  return ({ fieldNodes, fragments }) => {
    const holds = (set: SelectionSetNode | undefined): boolean =>
      set?.selections.some((node) => {
        if (node.kind === Kind.FRAGMENT_SPREAD) return holds(fragments[node.name.value]?.selectionSet);
        return (node.kind === Kind.FIELD && names.includes(node.name.value)) || holds(node.selectionSet);
      }) ?? false;
    return fieldNodes.some((node) => {
      const answer = known.get(node) ?? holds(node.selectionSet);
      known.set(node, answer);
      return answer;
    });
  };
}

/**
 * The selection of a field directly below another, whose value is of one type only. Null if it is not selected, more than once, or
 * not for certain, by a directive.
 */
export function onlyFieldBelow({ fieldNodes, fragments }: Selected, name: string): FieldNode | null {
  const found: (FieldNode | null)[] = [];
  const look = (set: SelectionSetNode | undefined, isCertain: boolean): void => {
    for (const node of set?.selections ?? []) {
      const isSure = isCertain && !node.directives?.length;
      if (node.kind === Kind.FIELD) {
        if (node.name.value === name) found.push(isSure ? node : null);
      } else if (node.kind === Kind.FRAGMENT_SPREAD) look(fragments[node.name.value]?.selectionSet, isSure);
      else look(node.selectionSet, isSure);
    }
  };
  for (const { selectionSet } of fieldNodes) look(selectionSet, true);
  return found.length === 1 ? (found[0] ?? null) : null;
}
