/** Generates replies. This interface is the part that commands need. */
export interface ReplyRunner {
  /** Starts to generate a committed reply. Returns at once. */
  start(reply: { conversationId: string; replyId: string }): void;
  /**
   * Resolves when the reply runs on this server no longer: it has ended, unless the server has lost it to others. Null if it does
   * not run here.
   */
  running(replyId: string): Promise<void> | null;
  /**
   * If the reply runs on this server, pauses it with all its text stored, so that ending it loses nothing that was
   * seen. The returned function resumes it, in case it is not ended after all.
   */
  suspend(replyId: string): Promise<() => void>;
}
