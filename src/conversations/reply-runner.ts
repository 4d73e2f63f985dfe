/** Generates replies; known here only by what commands need of it. */
export interface ReplyRunner {
  /** Drives a reply that has been committed. Returns at once. */
  start(reply: { conversationId: string; replyId: string }): void;
  /**
   * If the reply runs on this server: holds it still with all its text stored, so that settling cuts nothing that was
   * seen. The returned function lets it go on, should it not be settled after all.
   */
  suspend(replyId: string): Promise<() => void>;
}
