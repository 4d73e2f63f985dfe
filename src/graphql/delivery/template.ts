import type { DeliveredEvent } from '../../conversations/schema/event-rows.ts';
import { GrowingText } from '../../conversations/stream/growing-text.ts';
import { encodeFragmentId, encodeId } from '../../ids.ts';
import { instantText } from '../instant.ts';

export type Delta = Extract<DeliveredEvent, { kind: 'fragment-delta' }>;

/** Values that no GraphQL name can hold, so that in a result they stand only where an event's own value would. */
const marks = {
  cursor: '<cursor>',
  occurredAt: new Date('9876-05-04T03:02:01.987Z'),
  offset: 1_987_654_321,
  text: '<text>',
  messageId: '01890a5d-ac96-774b-bcce-b302099a8057',
  index: 1_876_543_210,
} as const;

const messageMark = JSON.stringify(encodeId('Message', marks.messageId));
const fragmentMark = JSON.stringify(encodeFragmentId(marks.messageId, marks.index));
const slots = [
  JSON.stringify(marks.cursor),
  JSON.stringify(marks.occurredAt),
  `:${marks.offset}`,
  JSON.stringify(marks.text),
] as const;
const slot = new RegExp(slots.join('|'), 'g');

/** A result with more characters of text than this is executed, so that its limits are checked. */
const MAX_TEXT = 256 * 1024;

/** The whole text of a fragment, which a template cannot hold. */
class WholeText extends GrowingText {
  wasRead = false;

  override slice(): string {
    this.wasRead = true;
    return '';
  }
}

/** The result of every delta that one viewer is told by one document: only a few values differ. */
export class DeltaTemplate {
  private readonly json: string;
  private readonly texts: number;
  /** The fragment that the parts are of. */
  private messageId = '';
  private index = NaN;
  /** The result of a delta of that fragment, cut at its slots. */
  private parts: string[] = [];
  private order: number[] = [];

  private constructor(json: string) {
    this.json = json;
    this.texts = json.split(slots[3]).length - 1;
  }

  /**
   * Makes a template from the result of an event like this one, with marks for what differs. Null if the document selects
   * what a template cannot hold.
   */
  static async of(event: Delta, resultOf: (event: Delta) => Promise<string | null>): Promise<DeltaTemplate | null> {
    const whole = new WholeText();
    const { cursor, occurredAt, offset, text, messageId, index } = marks;
    const fragment = { ...event.fragment, messageId, index, text: whole };
    const json = await resultOf({ ...event, cursor, occurredAt, offset, text, fragment });
    return json === null || whole.wasRead ? null : new DeltaTemplate(json);
  }

  /** Null if the result would be so large that it must be executed. */
  fill({ cursor, occurredAt, offset, text, fragment }: Delta): string | null {
    if (this.texts * text.length > MAX_TEXT) return null;
    const { messageId, index } = fragment;
    if (messageId !== this.messageId || index !== this.index) this.bind(messageId, index);
    const { parts, order } = this;
    const values = [JSON.stringify(cursor), `"${instantText(occurredAt)}"`, `:${offset}`, JSON.stringify(text)];
    let result = parts[0] ?? '';
    for (let i = 0; i < order.length; i += 1) result += (values[order[i] ?? 0] ?? '') + (parts[i + 1] ?? '');
    return result;
  }

  private bind(messageId: string, index: number): void {
    this.messageId = messageId;
    this.index = index;
    const json = this.json
      .replaceAll(fragmentMark, JSON.stringify(encodeFragmentId(messageId, index)))
      .replaceAll(messageMark, JSON.stringify(encodeId('Message', messageId)));
    this.parts = json.split(slot);
    this.order = [...json.matchAll(slot)].map(([mark]) => slots.findIndex((known) => known === mark));
  }
}
