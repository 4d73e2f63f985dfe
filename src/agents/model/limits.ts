import { RuntimeError } from '../runtime.ts';

/** The longest answer of a model, in bytes: more than any model writes, and small enough to hold in memory. */
export const MAX_BYTES = 64 * 1024 * 1024;

/** The longest single event, in bytes, since an event is held until it is complete. */
export const MAX_EVENT_BYTES = 1024 * 1024;

/** How much of an answer is read that reports a failure, in bytes. */
export const MAX_ERROR_BYTES = 64 * 1024;

/** The most calls of one step. */
export const MAX_CALLS = 32;

/** The longest arguments of the calls of one step, in UTF-16 code units. */
export const MAX_ARGUMENT_UNITS = 256 * 1024;

/** A model's answer exceeded a limit. */
export class TooMuchError extends RuntimeError {
  constructor() {
    super('The model sent more at once than can be taken.');
  }
}

/** A model called more tools than can be called in one step. */
export class TooManyCallsError extends RuntimeError {
  constructor() {
    super('The model called too many tools at once.');
  }
}

/** A model called a tool with longer arguments than a step may have. */
export class LongArgumentsError extends RuntimeError {
  constructor() {
    super('The model called a tool with too much.');
  }
}
