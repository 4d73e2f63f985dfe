import { UserError } from '../errors.ts';

/** The operator is suspended. */
export class OperatorSuspendedError extends UserError {
  override name = 'OperatorSuspendedError';
  readonly operatorId: string;

  constructor(operatorId: string) {
    super('The operator is suspended. Reinstate them first.');
    this.operatorId = operatorId;
  }
}
