/** An expected failure: data for the client, with nothing written. Everything else is a fault and is masked. */
export abstract class UserError extends Error {
  /** What went wrong, in English, for developers and logs. */
  get detail(): string {
    return this.message;
  }
}

/** An id in the input names nothing that the caller may see: malformed, unknown and foreign ids are alike. */
export class NotFoundError extends UserError {
  override name = 'NotFoundError';
  readonly path: string[];

  /** `path` says where in the input the id stands. */
  constructor(path: string[]) {
    super(`Nothing was found for the id in \`${path.join('.')}\`.`);
    this.path = path;
  }
}

/** What is wrong with an input, for programs. */
export const inputIssueCodes = [
  'REQUIRED',
  'TOO_LONG',
  'TOO_LARGE',
  'MALFORMED',
  'NOT_ALLOWED',
  'NOT_FOUND',
  'OUT_OF_RANGE',
  'DUPLICATE',
  'SCHEMA',
] as const;

export type InputIssueCode = (typeof inputIssueCodes)[number];

export interface InputIssue {
  /** From `input` down, list indexes in decimal. */
  path: string[];
  /** Left out: `NOT_ALLOWED`. */
  code?: InputIssueCode;
  detail: string;
}

/** The input is well formed but not acceptable; carries all faults found. */
export class InvalidInputError extends UserError {
  override name = 'InvalidInputError';
  readonly issues: InputIssue[];

  constructor(issues: InputIssue[]) {
    super(issues.map((issue) => `${issue.path.join('.')}: ${issue.detail}`).join(' '));
    this.issues = issues;
  }
}

/** A fault that the operator can mend: shown as one line, without a stack. */
export class StartupError extends Error {
  override name = 'StartupError';
}

/** What is asked for cannot be done now, for a reason that has nothing to do with who asks: nothing was done. */
export class UnavailableError extends Error {
  override name = 'UnavailableError';
  /** When to ask again, in seconds. */
  readonly retryAfter: number;

  /** `message` is shown to the client: what is missing, and what to do. */
  constructor(message: string, retryAfter: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfter = retryAfter;
  }
}
