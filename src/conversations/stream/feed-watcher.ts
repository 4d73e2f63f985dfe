/** Is told of the changes of a feed, on behalf of any number of readers. */
export interface FeedWatcher {
  /** How many of its readers have caught up. */
  readonly idleReaders: number;
  /** The feed has changed or closed. */
  onChange(): void;
}
