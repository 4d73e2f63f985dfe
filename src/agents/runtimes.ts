import type { InputIssue } from '../errors.ts';
import { type SchemaChecker, SchemaError } from '../json-schema/checker.ts';
import type { JsonObject } from '../json.ts';
import type { Runtime } from './runtime.ts';

/** The runtimes of this installation, by name. */
export class AgentRuntimes {
  private readonly runtimes: ReadonlyMap<string, Runtime>;
  private readonly schemas: SchemaChecker;

  constructor(runtimes: readonly Runtime[], schemas: SchemaChecker) {
    this.runtimes = new Map(runtimes.map((runtime) => [runtime.name, runtime]));
    this.schemas = schemas;
  }

  get(name: string): Runtime | undefined {
    return this.runtimes.get(name);
  }

  /**
   * What is wrong with parameters for a runtime of an organization, by row id, with paths below them. Empty if they are valid.
   * Throws `UnavailableError`.
   */
  async checkParameters(organizationId: string, name: string, parameters: JsonObject): Promise<InputIssue[]> {
    const runtime = this.runtimes.get(name);
    if (!runtime) return [{ path: [], detail: `This server has no runtime named ${name}.` }];
    try {
      const fault = await this.schemas.check(organizationId, runtime.parametersSchema, parameters);
      if (!fault) return [];
      const { path, message, unknownProperty } = fault;
      if (unknownProperty) return [{ path, detail: 'Is not a parameter of this runtime.' }];
      return [{ path, detail: `${message.charAt(0).toUpperCase()}${message.slice(1)}.` }];
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      return [{ path: [], detail: `The schema of the parameters of the runtime ${name}: ${error.message}` }];
    }
  }
}
