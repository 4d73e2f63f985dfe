import type { LanguageModelV3, LanguageModelV3CallOptions, LanguageModelV3StreamPart } from '@ai-sdk/provider';
import { ChatParts } from './chat-parts.ts';
import { EventReader } from './event-reader.ts';
import type { SetAsideFetch } from './set-aside-fetch.ts';

/** The answer of a model while it arrives. */
export interface PartSource {
  /** The next parts, those that came together at once; there may be none of them. Null at the end. */
  next(): Promise<readonly LanguageModelV3StreamPart[] | null>;
  /** Must be called once, however the reading ends: closes the connection unless all was read. */
  leave(): void;
}

/** A request that can be ended. */
export type ModelRequest = LanguageModelV3CallOptions & { abortSignal: AbortSignal };

/** Sends a request to a model. Resolves once the model has begun to answer. */
export type AskModel = (request: ModelRequest) => Promise<PartSource>;

/** Takes the parts from the client of the provider. */
export function readByClient(model: LanguageModelV3): AskModel {
  return async (request) => {
    const { stream } = await model.doStream(request);
    const reader = stream.getReader();
    return {
      async next() {
        const { done, value } = await reader.read();
        return done ? null : [value];
      },
      leave() {
        reader.cancel().then(undefined, () => undefined);
      },
    };
  };
}

/** Has the client of an OpenAI-compatible provider send the request, and reads the answer from the socket. */
export function readFromSocket(model: LanguageModelV3, answers: SetAsideFetch): AskModel {
  return async (request) => {
    // Of this request alone, since its body is found by it.
    const abortSignal = AbortSignal.any([request.abortSignal]);
    await model.doStream({ ...request, abortSignal });
    return new SocketParts(new EventReader(answers.take(abortSignal)));
  };
}

class SocketParts implements PartSource {
  private readonly events: EventReader;
  private readonly parts = new ChatParts();
  private isOver = false;

  constructor(events: EventReader) {
    this.events = events;
  }

  async next(): Promise<LanguageModelV3StreamPart[] | null> {
    if (this.isOver) return null;
    await this.events.arrival();
    if (this.events.isOver) {
      this.isOver = true;
      this.parts.end();
    } else {
      this.isOver = !this.events.take().every((data) => this.parts.hear(data));
    }
    return this.parts.take();
  }

  leave(): void {
    this.events.leave();
  }
}
