import { UserError } from '../errors.ts';

/** A reply is running. */
export class ConversationBusyError extends UserError {
  override name = 'ConversationBusyError';
  readonly conversationId: string;
  readonly runningReplyId: string;
  readonly currentVersion: number;

  constructor(conversationId: string, runningReplyId: string, currentVersion: number) {
    super('A reply is running. Wait for it, stop it, or send again with another `onBusy`.');
    this.conversationId = conversationId;
    this.runningReplyId = runningReplyId;
    this.currentVersion = currentVersion;
  }
}

/** The conversation has changed since the version that the caller expected. */
export class VersionConflictError extends UserError {
  override name = 'VersionConflictError';
  readonly conversationId: string;
  readonly expectedVersion: number;
  readonly currentVersion: number;

  constructor(conversationId: string, expectedVersion: number, currentVersion: number) {
    super(
      `The conversation is at version ${currentVersion}, not ${expectedVersion}. Read it again, decide, and send again.`,
    );
    this.conversationId = conversationId;
    this.expectedVersion = expectedVersion;
    this.currentVersion = currentVersion;
  }
}

/** The conversation has ended and accepts no more messages. */
export class ConversationEndedError extends UserError {
  override name = 'ConversationEndedError';
  readonly conversationId: string;

  constructor(conversationId: string) {
    super('The conversation has ended. Start another one.');
    this.conversationId = conversationId;
  }
}

/** A human answers, or has been asked for. */
export class HandedOffError extends UserError {
  override name = 'HandedOffError';
  readonly conversationId: string;
  readonly handoffId: string;

  constructor(conversationId: string, handoffId: string) {
    super('The conversation is handed off. End the handoff first.');
    this.conversationId = conversationId;
    this.handoffId = handoffId;
  }
}

/** No handoff is in force. */
export class NotHandedOffError extends UserError {
  override name = 'NotHandedOffError';
  readonly conversationId: string;

  constructor(conversationId: string) {
    super('The conversation is not handed off. Start a handoff first.');
    this.conversationId = conversationId;
  }
}

/** The idempotency key was used before with another input. */
export class IdempotencyMismatchError extends UserError {
  override name = 'IdempotencyMismatchError';
  readonly idempotencyKey: string;

  constructor(idempotencyKey: string) {
    super('This idempotency key was used before with another input. Use a new key for a new command.');
    this.idempotencyKey = idempotencyKey;
  }
}
