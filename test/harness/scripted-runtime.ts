import type { ReplyPart, Runtime, Turn } from '../../src/agents/runtime.ts';
import type { Services } from '../../src/graphql/context.ts';
import { encodeId } from '../../src/ids.ts';
import { Deferred } from './deferred.ts';

/** A runtime whose replies say what the test has them say, when it does. It does not heed being aborted. */
export class ScriptedRuntime implements Runtime {
  readonly name = 'scripted';
  readonly parametersSchema = { type: 'object' };
  private readonly scripts = new Map<string, Deferred<Script>>();

  /** The reply to the message with this text, which no other message may have, once it has begun. */
  replyTo(text: string): Promise<Script> {
    return this.scriptOf(text).promise;
  }

  reply(turn: Turn, signal: AbortSignal): AsyncIterable<ReplyPart> {
    const script = new Script(turn, signal);
    this.scriptOf(turn.history.findLast(({ role }) => role === 'USER')?.text ?? '').resolve(script);
    return script.parts();
  }

  private scriptOf(text: string): Deferred<Script> {
    const known = this.scripts.get(text);
    if (known) return known;
    const script = new Deferred<Script>();
    this.scripts.set(text, script);
    return script;
  }
}

interface Line {
  part: ReplyPart | Error;
  taken: Deferred;
}

/** One reply in mid-air. */
export class Script {
  readonly turn: Turn;
  /** Resolves when the reply is aborted. */
  readonly aborted: Promise<void>;
  private readonly lines: Line[] = [];
  private more = new Deferred();
  private readonly over = new Deferred();
  private isOver = false;

  constructor(turn: Turn, signal: AbortSignal) {
    this.turn = turn;
    this.aborted = new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  }

  /** Says it; resolves when the server has taken all of it, or takes nothing any more. */
  async say(...parts: ReplyPart[]): Promise<void> {
    const lines = parts.map((part) => ({ part, taken: new Deferred() }));
    this.put(...lines);
    await Promise.race([Promise.all(lines.map(({ taken }) => taken.promise)), this.over.promise]);
  }

  /** Begins a text fragment with these deltas. */
  begin(...deltas: string[]): Promise<void> {
    return this.say({ type: 'text-start' }, ...deltas.map(delta));
  }

  /** Goes on with the text fragment. */
  write(...deltas: string[]): Promise<void> {
    return this.say(...deltas.map(delta));
  }

  /** Ends the text fragment, and with it the reply. */
  async end(): Promise<void> {
    await this.say({ type: 'text-end' }, { type: 'finish' });
  }

  /** Throws out of the runtime. */
  fail(error: Error): void {
    this.put({ part: error, taken: new Deferred() });
  }

  async *parts(): AsyncGenerator<ReplyPart, void> {
    try {
      for (;;) {
        const line = this.lines.shift();
        if (!line) {
          await this.more.promise;
          continue;
        }
        if (line.part instanceof Error) throw line.part;
        yield line.part;
        line.taken.resolve();
        if (line.part.type === 'finish') return;
      }
    } finally {
      this.isOver = true;
      this.over.resolve();
    }
  }

  private put(...lines: Line[]): void {
    if (!this.isOver) this.lines.push(...lines);
    this.more.resolve();
    this.more = new Deferred();
  }
}

function delta(text: string): ReplyPart {
  return { type: 'text-delta', text };
}

/** Makes an agent of the first organization that answers by this runtime; returns its public id. */
export async function createAgent({ prisma, newId }: Services, runtime: string): Promise<string> {
  const organization = await prisma.organization.findFirstOrThrow({ orderBy: { createdAt: 'asc' } });
  const { id } = await prisma.agent.create({
    data: { id: newId(), organizationId: organization.id, name: `An agent on ${runtime}`, runtime },
  });
  return encodeId('Agent', id);
}
