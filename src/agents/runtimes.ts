import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { InputIssue } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import type { Runtime } from './runtime.ts';

/** The runtimes of this installation, by name, with their parameter schemas compiled. */
export class AgentRuntimes {
  private readonly runtimes = new Map<string, { runtime: Runtime; validate: ValidateFunction }>();

  constructor(runtimes: readonly Runtime[]) {
    const ajv = new Ajv2020({ allErrors: true, strict: false });
    for (const runtime of runtimes) {
      this.runtimes.set(runtime.name, { runtime, validate: ajv.compile(runtime.parametersSchema) });
    }
  }

  get(name: string): Runtime | undefined {
    return this.runtimes.get(name)?.runtime;
  }

  /** What is wrong with these parameters, with the path of each fault below them; empty when they are valid. */
  checkParameters(name: string, parameters: JsonObject): InputIssue[] {
    const known = this.runtimes.get(name);
    if (!known) return [{ path: [], detail: `This server has no runtime named ${name}.` }];
    known.validate(parameters);
    return (known.validate.errors ?? []).map(issueOf);
  }
}

function issueOf(error: ErrorObject): InputIssue {
  const path = error.instancePath
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const params: Record<string, unknown> = error.params;
  const extra = params.additionalProperty ?? params.unevaluatedProperty;
  if (typeof extra === 'string') return { path: [...path, extra], detail: 'Is not a parameter of this runtime.' };
  const text = error.message ?? 'is not valid';
  return { path, detail: `${text.charAt(0).toUpperCase()}${text.slice(1)}.` };
}
