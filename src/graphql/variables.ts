import {
  type GraphQLInputType,
  type GraphQLSchema,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  typeFromAST,
  type VariableDefinitionNode,
} from 'graphql';

/** Limits of the variables of one operation. */
export const variableLimits = {
  /** Entries of a list type of the schema. A field may allow fewer; more is an `InvalidInputError` then. */
  list: 2000,
  /** Number of values: strings, numbers, lists and objects, also inside JSON. */
  values: 200_000,
  /** Levels of nested lists and objects. */
  depth: 100,
  /** Characters of an id, an enum value, a DateTime or a cursor. */
  name: 1024,
  /** Fields in all that their input types do not know. Each would be told with everything beside it. */
  unknownFields: 3,
} as const;

/** A value of these types may be as long as its field allows. Values of all other types are short. */
const longTypes = new Set(['String', 'JSON', 'JSONObject', 'URL', 'ChangeCursor', 'EventPosition']);

/**
 * The limit that the variables of an operation exceed, or null. Checked before they are coerced to their types. Ignores
 * values of a wrong type: coercion reports them.
 */
export function faultOfVariables(
  schema: GraphQLSchema,
  definitions: readonly VariableDefinitionNode[],
  values: Readonly<Record<string, unknown>>,
): string | null {
  const scale = new Scale();
  try {
    for (const { variable, type: node } of definitions) {
      const name = variable.name.value;
      const type = typeFromAST(schema, node);
      scale.weigh([`$${name}`], values[name], isInputType(type) ? type : undefined);
    }
    return null;
  } catch (error) {
    if (error instanceof TooMuchError) return error.message;
    throw error;
  }
}

class TooMuchError extends Error {
  override name = 'TooMuchError';

  constructor(path: readonly string[], what: string, limit: number) {
    super(`\`${path.join('.').slice(0, 200)}\` ${what}; at most ${limit} are allowed.`);
  }
}

class Scale {
  private values = 0;
  private unknownFields = 0;

  /** `type` is undefined inside JSON. Throws `TooMuchError`. */
  weigh(path: string[], value: unknown, type: GraphQLInputType | undefined): void {
    this.values += 1;
    if (this.values > variableLimits.values) {
      throw new TooMuchError(path.slice(0, 1), 'and the other variables hold too many values', variableLimits.values);
    }
    if (path.length > variableLimits.depth) {
      throw new TooMuchError(path.slice(0, 5), 'is nested too deeply, in levels', variableLimits.depth);
    }
    const inner = isNonNullType(type) ? type.ofType : type;
    if (Array.isArray(value)) {
      const entry: GraphQLInputType | undefined = isListType(inner) ? inner.ofType : undefined;
      if (entry && value.length > variableLimits.list) {
        throw new TooMuchError(path, `has ${value.length} entries`, variableLimits.list);
      }
      // All entries share one path: a limit is seldom exceeded by a single entry.
      const at = [...path, '[]'];
      for (const item of value) this.weigh(at, item, entry);
    } else if (typeof value === 'object' && value !== null) {
      const fields = isInputObjectType(inner) ? inner.getFields() : null;
      for (const [key, item] of Object.entries(value)) {
        const field = fields?.[key];
        if (fields && !field) this.unknownFields += 1;
        if (this.unknownFields > variableLimits.unknownFields) {
          const what = 'and what was read before it hold too many fields that their types do not know';
          throw new TooMuchError(path, what, variableLimits.unknownFields);
        }
        this.weigh([...path, key], item, field?.type);
      }
    } else if (typeof value === 'string' && inner && 'name' in inner && !longTypes.has(inner.name)) {
      if (value.length > variableLimits.name) {
        throw new TooMuchError(path, `is ${value.length} characters long`, variableLimits.name);
      }
    }
  }
}
