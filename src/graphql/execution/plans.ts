import { type DirectiveNode, type DocumentNode, GraphQLIncludeDirective, GraphQLSkipDirective, visit } from 'graphql';
import { LRUCache } from 'lru-cache';
import { Outputs } from './output.ts';
import { Plan, type Planned } from './plan.ts';

/** What one field of a plan takes, in characters of a parsed document. */
const FIELD_SIZE = 4;

/** The plans of one document. */
interface DocumentPlans {
  /** The variables that decide which fields are included. */
  deciding: readonly string[];
  byKey: Map<string, Plan>;
  fields: number;
  /** As many fields as it was counted with. */
  counted: number;
}

/** The plans of the operations that were executed lately. They hold their documents, and sizes are in characters of these. */
export class Plans {
  private readonly outputs = new Outputs();
  private readonly byDocument = new LRUCache<DocumentNode, DocumentPlans>({
    maxSize: 500_000,
    maxEntrySize: 50_000,
    sizeCalculation: ({ fields }, { loc }) => (loc?.source.body.length ?? 0) + FIELD_SIZE * fields + 1,
  });

  of(document: DocumentNode, planned: Planned): Plan {
    const plans = this.byDocument.get(document) ?? {
      deciding: decidingIn(document),
      byKey: new Map<string, Plan>(),
      fields: 0,
      counted: -1,
    };
    if (plans.counted !== plans.fields) {
      plans.counted = plans.fields;
      this.byDocument.set(document, plans);
    }
    const key = keyOf(planned, plans.deciding);
    let plan = plans.byKey.get(key);
    if (!plan) {
      plan = new Plan(this.outputs, (fields) => (plans.fields += fields));
      plans.byKey.set(key, plan);
    }
    return plan;
  }
}

function keyOf({ operation, variableValues }: Planned, deciding: readonly string[]): string {
  const name = operation.name?.value ?? '';
  if (deciding.length === 0) return name;
  return `${name} ${JSON.stringify(deciding.map((variable) => variableValues[variable]))}`;
}

const conditional = [GraphQLSkipDirective.name, GraphQLIncludeDirective.name];

function decidingIn(document: DocumentNode): readonly string[] {
  const names = new Set<string>();
  visit(document, {
    Directive(directive: DirectiveNode) {
      if (!conditional.includes(directive.name.value)) return false;
      visit(directive, { Variable: ({ name }) => void names.add(name.value) });
      return false;
    },
  });
  return [...names];
}
