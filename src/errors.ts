/** An expected failure, returned to the client as data. Nothing was written. All other errors are masked. */
export abstract class UserError extends Error {
  /** What went wrong, in English, for developers and logs. */
  get detail(): string {
    return this.message;
  }
}

/** An id in the input names nothing that the caller may see. Malformed, unknown and foreign ids are treated alike. */
export class NotFoundError extends UserError {
  override name = 'NotFoundError';
  readonly path: string[];

  /** `path` is the place of the id in the input. */
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
  /** Path below `input`. List indexes are decimal numbers. */
  path: string[];
  /** Default: `NOT_ALLOWED`. */
  code?: InputIssueCode;
  detail: string;
}

/** The input is well formed but not valid. Carries all problems found. */
export class InvalidInputError extends UserError {
  override name = 'InvalidInputError';
  readonly issues: InputIssue[];

  constructor(issues: InputIssue[]) {
    super(issues.map((issue) => `${issue.path.join('.')}: ${issue.detail}`).join(' '));
    this.issues = issues;
  }
}

/** An error that the operator can fix. Shown as one line, without a stack. */
export class StartupError extends Error {
  override name = 'StartupError';
}

/** A request cannot be served now, for a reason that is not the caller's fault. Nothing was done. */
export class UnavailableError extends Error {
  override name = 'UnavailableError';
  /** When to try again, in seconds. */
  readonly retryAfter: number;

  /** `message` is shown to the client. It says what is wrong and what to do. */
  constructor(message: string, retryAfter: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfter = retryAfter;
  }
}
