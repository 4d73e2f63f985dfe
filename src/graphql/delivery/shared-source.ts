import type { Viewer } from '../../access/viewer.ts';

/** Events that are the same objects for all subscribers who see the same, so that each is executed once for them. */
export class SharedSource<T extends object> implements AsyncIterable<T> {
  readonly viewer: Viewer;
  private readonly events: AsyncIterableIterator<T>;

  constructor(viewer: Viewer, events: AsyncIterableIterator<T>) {
    this.viewer = viewer;
    this.events = events;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this.events;
  }
}
