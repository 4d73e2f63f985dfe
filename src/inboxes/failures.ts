import { UserError } from '../errors.ts';

/** Why a visit may not start. */
export const visitRefusals = [
  'ORIGIN_NOT_ALLOWED',
  'IDENTITY_REQUIRED',
  'IDENTITY_INVALID',
  'IDENTITY_EXPIRED',
  'BLOCKED',
] as const;

export type VisitRefusal = (typeof visitRefusals)[number];

/** A visit may not start. */
export class VisitRefusedError extends UserError {
  override name = 'VisitRefusedError';
  readonly reason: VisitRefusal;

  constructor(reason: VisitRefusal, detail: string) {
    super(detail);
    this.reason = reason;
  }
}
