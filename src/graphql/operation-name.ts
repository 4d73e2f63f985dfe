import { type DocumentNode, getOperationAST, Kind } from 'graphql';

/** `mutation sendMessage`: what an operation does, by its fields, since its name is the client's to choose. */
export function nameOfOperation(args: { document: DocumentNode; operationName?: string | null | undefined }): string {
  const operation = getOperationAST(args.document, args.operationName);
  if (!operation) return 'an operation';
  const fields = operation.selectionSet.selections.flatMap((each) =>
    each.kind === Kind.FIELD ? [each.name.value] : [],
  );
  const [first, second, third, ...more] = new Set(fields);
  const told = [first, second, third].filter((name) => name !== undefined).join(', ');
  return `${operation.operation} ${told}${more.length > 0 ? ', …' : ''}`;
}
