/** Descriptions of arguments that several commands share. */
export const awaitReplyDescription =
  'Return when the reply has ended. After 60 seconds it is returned as it is; follow it from `cursor`.';
export const expectedVersionDescription =
  'Do it only if the conversation is still at this version; otherwise fail with `VersionConflictError`.';
export const idempotencyKeyDescription =
  '1 to 255 characters, remembered for at least 24 hours: the same key and input return the first success.';
export const conversationIdDescription = 'Which conversation, `conv_…`.';
