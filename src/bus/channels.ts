import { createHmac, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Topic } from './topics.ts';

/** Characters of base64url that sign a payload: 132 bits. */
export const SIGNATURE_LENGTH = 22;

/** How many names of channels are kept. */
const MOST_NAMES = 20_000;

/**
 * The channels of one installation. Their names, and the signatures of what is sent on them, are made with a key that only its
 * servers know. Nobody else on the same system can find a channel or forge a hint.
 */
export class Channels {
  private readonly key: string;
  private readonly places: number | null;
  /** The names of shared channels, by place. */
  private readonly shared: string[] = [];
  private readonly names = new LRUCache<Topic, string>({ max: MOST_NAMES });

  /** @param places How many channels the topics share, beside `control`. Left out: each topic has its own. */
  constructor(key: string, places?: number) {
    this.key = key;
    this.places = places ?? null;
  }

  /** The name of a topic's channel: 22 letters, digits, `_` and `-`. */
  of(topic: Topic): string {
    let name = this.names.get(topic);
    if (name === undefined) {
      const isShared = this.places !== null && topic !== 'control';
      name = isShared ? this.nameOf(this.hash(topic) % this.places) : this.mac('channel', topic);
      this.names.set(topic, name);
    }
    return name;
  }

  sign(channel: string, payload: string): string {
    return this.mac(channel, payload) + payload;
  }

  /** The payload that was signed for this channel. Null if it is forged or malformed. */
  verified(channel: string, signed: string): string | null {
    const payload = signed.slice(SIGNATURE_LENGTH);
    const [given, right] = [Buffer.from(signed.slice(0, SIGNATURE_LENGTH)), Buffer.from(this.mac(channel, payload))];
    return given.length === right.length && timingSafeEqual(given, right) ? payload : null;
  }

  private nameOf(place: number): string {
    return (this.shared[place] ??= this.mac('channel', `${place}`));
  }

  private hash(topic: string): number {
    return createHmac('sha256', this.key).update(topic).digest().readUInt32BE();
  }

  private mac(purpose: string, text: string): string {
    const mac = createHmac('sha256', this.key).update(purpose).update('\n').update(text);
    return mac.digest('base64url').slice(0, SIGNATURE_LENGTH);
  }
}
