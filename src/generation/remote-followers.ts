import type { Bus, Hint, HintListener, Membership } from '../bus/hints.ts';
import { ofConversation } from '../bus/topics.ts';

/** How often the other servers are asked, in milliseconds. */
const ASK_MS = 5_000;
/** How long after its last answer a server counts as following, in milliseconds. */
const FOLLOWED_MS = 12_000;

interface Running {
  replies: number;
  membership: Membership;
  /** When a server last said that it follows. */
  heard: number;
}

/** Which conversations that have a running reply on this server are followed on others, as they say when asked. */
export class RemoteFollowers implements HintListener {
  private readonly bus: Bus;
  private readonly onFollowed: (conversationId: string) => void;
  private readonly running = new Map<string, Running>();
  private readonly unsubscribe: () => void;
  private timer: NodeJS.Timeout | null = null;

  /** `onFollowed` is called when another server begins to follow a conversation that none has followed. */
  constructor(bus: Bus, onFollowed: (conversationId: string) => void) {
    this.bus = bus;
    this.onFollowed = onFollowed;
    this.unsubscribe = bus.subscribe(this);
  }

  /** A reply runs in a conversation, until the returned function is called. */
  begin(conversationId: string): () => void {
    const known = this.running.get(conversationId);
    const running = known ?? {
      replies: 0,
      membership: this.bus.join(ofConversation(conversationId)),
      heard: -Infinity,
    };
    running.replies += 1;
    if (!known) {
      this.running.set(conversationId, running);
      void running.membership.joined.then(() => this.ask(conversationId));
      this.timer ??= setInterval(() => this.askAll(), ASK_MS);
    }
    return () => {
      running.replies -= 1;
      if (running.replies > 0) return;
      running.membership.leave();
      this.running.delete(conversationId);
      if (this.running.size === 0) this.stopAsking();
    };
  }

  follow(conversationId: string): boolean {
    const heard = this.running.get(conversationId)?.heard;
    return heard !== undefined && performance.now() - heard < FOLLOWED_MS;
  }

  onHint(hint: Hint): void {
    if (hint.kind !== 'follows') return;
    const running = this.running.get(hint.conversationId);
    if (!running) return;
    const isNew = !this.follow(hint.conversationId);
    running.heard = performance.now();
    if (isNew) this.onFollowed(hint.conversationId);
  }

  onReconnect(): void {
    this.askAll();
  }

  close(): void {
    this.unsubscribe();
    this.stopAsking();
  }

  private askAll(): void {
    for (const conversationId of this.running.keys()) this.ask(conversationId);
  }

  private ask(conversationId: string): void {
    this.bus.publish({ kind: 'who-follows', conversationId }, 'ELSEWHERE');
  }

  private stopAsking(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
  }
}
