import { type GraphQLResolveInfo, Kind, type SelectionSetNode } from 'graphql';

/** Whether one of these fields is selected anywhere below the field that is being resolved. */
export function selectsBelow({ fieldNodes, fragments }: GraphQLResolveInfo, names: readonly string[]): boolean {
  const holds = (set: SelectionSetNode | undefined): boolean =>
    set?.selections.some((node) => {
      if (node.kind === Kind.FRAGMENT_SPREAD) return holds(fragments[node.name.value]?.selectionSet);
      return (node.kind === Kind.FIELD && names.includes(node.name.value)) || holds(node.selectionSet);
    }) ?? false;
  return fieldNodes.some(({ selectionSet }) => holds(selectionSet));
}
