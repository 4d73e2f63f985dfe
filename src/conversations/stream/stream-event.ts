import type { FragmentRow, LogEvent } from '../log/read.ts';
import type { LiveFragment } from './live-fragment.ts';

/** An event for a follower, with the cursor to resume after it. */
export type StreamEvent = { conversationId: string; cursor: string } & (
  | { kind: 'log'; event: LogEvent }
  | { kind: 'fragment-started'; occurredAt: Date; fragment: FragmentRow }
  | {
      kind: 'fragment-delta';
      occurredAt: Date;
      offset: number;
      text: string;
      fragment: LiveFragment;
    }
  | { kind: 'fragment-completed'; occurredAt: Date; fragment: FragmentRow }
);
