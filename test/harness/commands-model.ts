import { endConversation } from '../../src/conversations/commands/end.ts';
import { changeState } from '../../src/conversations/commands/change-state.ts';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findViewerByKey } from '../../src/access/api-keys.ts';
import type { Viewer } from '../../src/access/viewer.ts';
import type { ReplyPart, Runtime, Turn } from '../../src/agents/runtime.ts';
import { addAgentMessage } from '../../src/conversations/commands/agent-message.ts';
import { awaitReply } from '../../src/conversations/commands/await-reply.ts';
import type { Committed } from '../../src/conversations/log/commit.ts';
import { sendControl } from '../../src/conversations/commands/send-control.ts';
import { createConversation } from '../../src/conversations/commands/create.ts';
import { deleteConversation } from '../../src/conversations/commands/delete.ts';
import { acceptHandoff, endHandoff, startHandoff } from '../../src/conversations/commands/handoff.ts';
import { regenerateReply } from '../../src/conversations/commands/regenerate.ts';
import { sendMessage } from '../../src/conversations/commands/send.ts';
import { stopReply } from '../../src/conversations/commands/stop.ts';
import { updateConversation } from '../../src/conversations/commands/update.ts';
import { UserError } from '../../src/errors.ts';
import type { Services } from '../../src/graphql/context.ts';
import { encodeId } from '../../src/ids.ts';
import { playbook } from './playbooks.ts';
import { addAgent } from './products.ts';
import {
  decide,
  type Model,
  type ModelCommand,
  type ModelEvent,
  type ModelState,
  nameOf,
  newModel,
  ordered,
  playbooks,
  replay,
} from './reference-model.ts';
import { startServer, type TestServer, useServer } from './server.ts';

interface ReplyScript {
  parts: ReplyPart[];
  /** Turns of the event loop before each part. */
  pause: number;
  ending: 'finish' | 'fail' | 'hang';
}

/** Each reply follows the next of the scripts, one after the other. */
class FastRuntime implements Runtime {
  readonly name = 'fast';
  readonly parametersSchema = {};
  scripts: ReplyScript[] = [];
  private begun = 0;

  async *reply(_turn: Turn, signal: AbortSignal): AsyncGenerator<ReplyPart, void> {
    const script = this.scripts[this.begun++ % this.scripts.length];
    if (!script) throw new Error('No script.');
    for (const part of script.parts) {
      for (let i = 0; i < script.pause; i += 1) await setImmediate();
      yield part;
    }
    if (script.ending === 'fail') throw new Error('The agent is out of words.');
    if (script.ending === 'hang') await new Promise((resolve) => signal.addEventListener('abort', resolve));
    yield { type: 'finish' };
  }
}

const runtime = new FastRuntime();
let server: TestServer;
let other: Pick<TestServer, 'services'>;
let viewer: Viewer;
let agentId: string;

/** What a writer is to do; `version` and `reply` are made out when it is done. */
interface Step {
  kind: ModelCommand['type'];
  text: string;
  action: 'GENERATE_REPLY' | 'NONE';
  onBusy: 'REJECT' | 'INTERRUPT';
  steer: Partial<ModelState> | null;
  assignee: string | null;
  /** How far the expected version is behind the one just seen. */
  behind: number | null;
  /** Counted back from the latest reply. */
  reply: number;
  /** Given so many times at once, under a key. */
  twins: number;
}

/** One call of one command, and what it came to. */
interface Call {
  id: string;
  key: string | null;
  command: ModelCommand;
  services: Services;
  /** The versions just before and just after. */
  from: number;
  to: number;
  result: Partial<Committed> | UserError;
}

const initial: ModelState = { playbook: 'sales', phase: null, systemMessage: null, context: { plan: 1 } };
let conversations = 0;

/** One conversation, its writers, and all that they have seen. */
class History {
  readonly calls: Call[] = [];
  private readonly conversationId: string;
  private readonly uuid: string;
  private readonly completed = new Map<string, string>();
  private count = 0;

  constructor(uuid: string) {
    this.uuid = uuid;
    this.conversationId = encodeId('Conversation', uuid);
  }

  async write(services: Services, steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      const command = await this.commandOf(step);
      if (!command) continue;
      const keyed = ['sendMessage', 'addAgentMessage', 'sendControl', 'regenerateReply'].includes(command.type);
      const key = keyed ? `${this.uuid} ${(this.count += 1)}` : null;
      const twins = Array.from({ length: key === null ? 1 : step.twins }, () => this.call(services, command, key));
      await Promise.all(twins);
    }
  }

  async call(services: Services, command: ModelCommand, key: string | null): Promise<Call> {
    const id = `call ${(this.count += 1)}`;
    const from = await this.version();
    const caller = { ...viewer, actor: { kind: 'SYSTEM', externalId: id } as const };
    const result = await give(services, caller, this.conversationId, command, key).catch((error: unknown) => {
      if (error instanceof UserError) return error;
      throw error;
    });
    const call = { id, key, command, services, from, to: await this.version(), result };
    this.calls.push(call);
    await this.look();
    return call;
  }

  /** What must hold of the rows at any time; and no message changes once it is complete. */
  async look(): Promise<void> {
    const { rows } = await server.services.pool.query<Record<string, unknown>>(
      `SELECT version = (SELECT count(*) FROM event WHERE conversation_id = c.id) AS "one event a version",
        version = (SELECT max(version) FROM event WHERE conversation_id = c.id) AS "no gap in the log",
        next_position = (SELECT count(*) FROM message WHERE conversation_id = c.id) AS "one message a position",
        next_position = coalesce((SELECT max(position) + 1 FROM message WHERE conversation_id = c.id), 0) AS "no gap in positions",
        generating_message_id IS NOT DISTINCT FROM (
          SELECT id FROM message WHERE conversation_id = c.id AND status = 'IN_PROGRESS') AS "the one in progress is the running one",
        handoff_id IS NOT DISTINCT FROM (
          SELECT id FROM handoff WHERE conversation_id = c.id AND ended_at IS NULL) AS "the one that has not ended is in force",
        NOT EXISTS (SELECT FROM chunk JOIN message ON message.id = message_id
          WHERE conversation_id = c.id AND status <> 'IN_PROGRESS') AS "no text left over"
      FROM conversation c WHERE id = $1`,
      [this.uuid],
    );
    for (const row of rows) expect(Object.entries(row).filter(([, holds]) => holds !== true)).toEqual([]);
    const messages = await server.services.pool.query<{ id: string; content: string }>(
      `SELECT id, jsonb_build_array(to_jsonb(m),
        (SELECT jsonb_agg(to_jsonb(f) ORDER BY index) FROM fragment f WHERE message_id = id))::text AS content
      FROM message m WHERE conversation_id = $1 AND status <> 'IN_PROGRESS'`,
      [this.uuid],
    );
    for (const { id, content } of messages.rows) {
      expect(content).toBe(this.completed.get(id) ?? content);
      this.completed.set(id, content);
    }
  }

  /** Waits for the running reply, or stops it. */
  async settle(how: 'await' | 'stop'): Promise<void> {
    const { rows } = await server.services.pool.query<{ id: string | null; version: number }>(
      'SELECT generating_message_id AS id, version FROM conversation WHERE id = $1',
      [this.uuid],
    );
    const { id, version } = rows[0] ?? {};
    if (!id || version === undefined) return;
    if (how === 'await') await awaitReply(other.services, viewer, { conversationId: this.uuid, version, replyId: id });
    else await this.call(server.services, { type: 'stopReply', expectedVersion: null, replyId: id }, null);
  }

  /** Gives every command that succeeded under a key once more: nothing happens, and the answer is the same. */
  async repeat(): Promise<void> {
    const before = await this.dump();
    const deleted = (await this.events()).at(-1)?.type === 'ConversationDeleted';
    for (const { key, command, result, services } of [...this.calls]) {
      if (key === null || result instanceof UserError) continue;
      const again = services === server.services ? other.services : server.services;
      const repeated = give(again, viewer, this.conversationId, command, key);
      if (deleted) await expect(repeated).rejects.toMatchObject({ name: 'NotFoundError' });
      else expect(await repeated).toEqual(answerOf(result));
    }
    expect(await this.dump()).toEqual(before);
  }

  /** The log, replayed, explains every answer and every row. */
  async check(): Promise<void> {
    const events = await this.events();
    const [created, ...later] = events;
    expect(created).toMatchObject({ version: 1, type: 'ConversationCreated' });
    const calls = new Map(this.calls.map((call) => [call.id, call]));
    const models = [newModel(initial)];
    for (const event of later) {
      const model = models.at(-1) ?? newModel(initial);
      models.push(replay(model, event, calls.get(event.by ?? '')?.command ?? null));
    }
    const at = (version: number) => models[version - 1];
    for (const call of this.calls) this.explain(call, events, at);
    await this.compare(models.at(-1) ?? newModel(initial));
  }

  private explain(call: Call, events: LoggedEvent[], at: (version: number) => Model | undefined): void {
    const { id, command, result, from, to } = call;
    const own = events.filter(({ by }) => by === id);
    const seen = { call: { ...call, services: undefined }, own, log: events.map((e) => `${e.version} ${nameOf(e)}`) };
    const why = (what: string) => `${what}: ${JSON.stringify(seen, null, 1)}`;
    const between = Array.from({ length: to - from + 1 }, (_, i) => at(from + i)).filter(
      (model) => model !== undefined,
    );

    if (result instanceof UserError) {
      expect(own, why('a command that failed has written')).toEqual([]);
      const { currentVersion, runningReplyId } = result as { currentVersion?: number; runningReplyId?: string };
      const explained = between.some(
        (model) =>
          isDeepEqual(decide(model, command), { failure: result.name }) &&
          (currentVersion === undefined || currentVersion === model.version) &&
          (runningReplyId === undefined || runningReplyId === model.running),
      );
      expect(explained, why('nothing explains the failure')).toBe(true);
      return;
    }
    const [first] = own;
    if (first) {
      const base = at(first.version - 1);
      if (!base || base.version < from) throw new Error(why('decided on a version of the past'));
      expect({ events: own.map(nameOf) }, why('another outcome')).toEqual(decide(base, command));
      expect(own.map(({ version }) => version)).toEqual(own.map((_, i) => first.version + i));
      if (command.type !== 'deleteConversation') expect(result.version, why('version')).toBe(own.at(-1)?.version);
      return;
    }
    const twin = this.calls.find(
      (each) => call.key !== null && each.key === call.key && events.some((e) => e.by === each.id),
    );
    if (twin && !(twin.result instanceof UserError)) expect(result, why('twins differ')).toEqual(answerOf(twin.result));
    else {
      const explained = between.some((model) => isDeepEqual(decide(model, command), { events: [] }));
      expect(explained, why('nothing explains that nothing was done')).toBe(true);
    }
  }

  private async compare(model: Model): Promise<void> {
    const { rows } = await server.services.pool.query<Record<string, unknown>>(
      `SELECT version, status, title, generating_message_id AS running, handoff_id AS handoff, next_position AS length,
        message_count AS "messageCount",
        jsonb_build_object('playbook', playbook, 'phase', phase, 'systemMessage', system_message, 'context', context) AS state
      FROM conversation WHERE id = $1`,
      [this.uuid],
    );
    if (model.status === 'DELETED') {
      expect(rows).toEqual([]);
      const left = await this.dump();
      expect(left.map(({ source }) => source)).toEqual(['event']);
      return;
    }
    const { version, status, title, running, length, messageCount } = model;
    const handoff = model.handoff?.id ?? null;
    const state = ordered(model.state);
    expect(rows).toEqual([{ version, status, title, running, handoff, length, messageCount, state }]);
  }

  private async version(): Promise<number> {
    const { rows } = await server.services.pool.query<{ version: number }>(
      'SELECT max(version) AS version FROM archive WHERE conversation_id = $1',
      [this.uuid],
    );
    return rows[0]?.version ?? 0;
  }

  private async events(): Promise<LoggedEvent[]> {
    const { rows } = await server.services.pool.query<LoggedEvent>(
      `SELECT version, type, message_id AS "messageId", handoff_id AS "handoffId", data, actor->>'externalId' AS by,
        coalesce(data @> '{"reply": true}', false) AS begins
      FROM archive WHERE conversation_id = $1 ORDER BY version`,
      [this.uuid],
    );
    return rows;
  }

  /** Every row of the conversation, by table. */
  private async dump(): Promise<{ source: string; row: unknown }[]> {
    const ofMessages = 'message_id IN (SELECT id FROM message WHERE conversation_id = $1)';
    const sources = {
      conversation: 'id = $1',
      message: 'conversation_id = $1',
      fragment: ofMessages,
      chunk: ofMessages,
      handoff: 'conversation_id = $1',
      event: 'conversation_id = $1',
      idempotency: 'conversation_id = $1',
    };
    const selects = Object.entries(sources).map(
      ([table, where]) => `SELECT '${table}' AS source, to_jsonb(t) AS row FROM ${table} t WHERE ${where}`,
    );
    const { rows } = await server.services.pool.query<{ source: string; row: unknown }>(
      `${selects.join(' UNION ALL ')} ORDER BY 1, 2`,
      [this.uuid],
    );
    return rows;
  }

  /** The command that a step comes to now; null when it needs a reply and there is none. */
  private async commandOf(step: Step): Promise<ModelCommand | null> {
    const events = await this.events();
    const { kind, text, action, onBusy, steer, assignee, behind } = step;
    const expectedVersion = behind === null ? null : (events.at(-1)?.version ?? 0) - behind;
    switch (kind) {
      case 'sendMessage':
      case 'sendControl':
        return { type: kind, expectedVersion, text, action, onBusy, stateAfter: steer };
      case 'addAgentMessage':
        return { type: kind, expectedVersion, text, onBusy, stateAfter: steer };
      case 'changeState':
        return { type: kind, expectedVersion, stateAfter: { ...steer, context: text } };
      case 'regenerateReply':
      case 'stopReply': {
        const replyId = events.filter((event) => nameOf(event) === 'ReplyBegun').at(-1 - step.reply)?.messageId;
        return replyId ? { type: kind, expectedVersion: kind === 'stopReply' ? null : expectedVersion, replyId } : null;
      }
      case 'startHandoff':
        return { type: kind, expectedVersion, assignee };
      case 'acceptHandoff':
        return { type: kind, expectedVersion, assignee: assignee ?? 'Ada' };
      case 'updateConversation':
        return { type: kind, expectedVersion, title: text };
      case 'endHandoff':
      case 'endConversation':
      case 'deleteConversation':
        return { type: kind, expectedVersion };
    }
  }
}

type LoggedEvent = ModelEvent & { by: string | null };

const isDeepEqual = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** What must be the same whenever a command is repeated. */
function answerOf({ conversationId, version, runningReplyVersion, messageId, replyId }: Partial<Committed>): unknown {
  return expect.objectContaining({ conversationId, version, runningReplyVersion, messageId, replyId });
}

function give(
  services: Services,
  caller: Viewer,
  conversationId: string,
  command: ModelCommand,
  idempotencyKey: string | null,
): Promise<Partial<Committed>> {
  const { expectedVersion } = command;
  const base = { conversationId, expectedVersion, idempotencyKey, awaitReply: false };
  switch (command.type) {
    case 'sendMessage':
      return sendMessage(services, caller, { ...base, ...command, content: { text: command.text } });
    case 'addAgentMessage':
      return addAgentMessage(services, caller, { ...base, ...command, content: { text: command.text } });
    case 'sendControl':
      return sendControl(services, caller, { ...base, ...command, content: { text: command.text } });
    case 'changeState':
      return changeState(services, caller, { ...base, stateAfter: command.stateAfter });
    case 'regenerateReply':
      return regenerateReply(services, caller, { ...base, replyId: encodeId('Message', command.replyId) });
    case 'stopReply':
      return stopReply(services, caller, { replyId: encodeId('Message', command.replyId) });
    case 'startHandoff':
      return startHandoff(services, caller, { ...base, assignee: command.assignee });
    case 'acceptHandoff':
      return acceptHandoff(services, caller, { ...base, assignee: command.assignee });
    case 'endHandoff':
      return endHandoff(services, caller, base, { holdsOnly: false });
    case 'endConversation':
      return endConversation(services, caller, base);
    case 'updateConversation':
      return updateConversation(services, caller, { ...base, title: command.title });
    case 'deleteConversation':
      return deleteConversation(services, caller, base);
  }
}

const kinds = fc.oneof(
  { weight: 30, arbitrary: fc.constant<ModelCommand['type']>('sendMessage') },
  ...(
    [
      [6, 'sendControl'],
      [5, 'addAgentMessage'],
      [4, 'changeState'],
      [6, 'regenerateReply'],
      [6, 'stopReply'],
      [3, 'startHandoff'],
      [2, 'acceptHandoff'],
      [5, 'endHandoff'],
      [1, 'endConversation'],
      [3, 'updateConversation'],
      [0.4, 'deleteConversation'],
    ] as const
  ).map(([weight, kind]) => ({ weight: weight * 5, arbitrary: fc.constant(kind) })),
);

const step: fc.Arbitrary<Step> = fc.record({
  kind: kinds,
  text: fc.constantFrom('Hello?', 'And now?', 'Thank you 🙂'),
  action: fc.constantFrom('GENERATE_REPLY', 'GENERATE_REPLY', 'NONE'),
  onBusy: fc.constantFrom('REJECT', 'INTERRUPT'),
  steer: fc.constantFrom<(Partial<ModelState> | null)[]>(
    null,
    null,
    null,
    { phase: 'opening' },
    { phase: 'closing' },
    { phase: null },
    { playbook: 'support' },
    { playbook: 'sales', phase: 'closing' },
    { playbook: 'support', phase: null, systemMessage: 'Be kind.' },
    { playbook: null },
    { playbook: null, phase: null },
    { playbook: 'unheard of' },
  ),
  assignee: fc.constantFrom(null, null, 'Ada', 'Grace'),
  behind: fc.constantFrom(null, null, null, 0, 0, 1),
  reply: fc.constantFrom(0, 0, 0, 1),
  twins: fc.constantFrom(1, 1, 2, 3),
});

const textParts = fc
  .array(fc.constantFrom('Well', ', ', 'you see: ', '🙂', '\ud83d', '\ude42 half', '\n\n'), { maxLength: 6 })
  .map((texts): ReplyPart[] => [
    { type: 'text-start' },
    ...texts.map((text) => ({ type: 'text-delta', text }) as const),
    { type: 'text-end', metadata: { words: texts.length } },
  ]);
const replyScript: fc.Arbitrary<ReplyScript> = fc.record({
  parts: fc
    .array(textParts, { maxLength: 3 })
    .map((all) =>
      all.flatMap((parts, i): ReplyPart[] => [
        { type: 'tool-call', callId: `${i}`, name: 'look up', args: { i } },
        { type: 'tool-result', callId: `${i}`, response: ['found', i], failed: i === 1 },
        ...parts,
      ]),
    ),
  pause: fc.constantFrom(0, 0, 1, 3, 20),
  ending: fc.constantFrom('finish', 'finish', 'finish', 'fail', 'hang'),
});

/**
 * A test that whatever writers of two servers do at the same time, the log explains it: so many histories. To be called once in a file.
 */
export function testInterleavedWriters(histories: number): void {
  server = useServer({ runtimes: [runtime] });
  let second: Awaited<ReturnType<typeof startServer>>;
  beforeAll(async () => {
    second = await startServer(server.databaseUrl, { runtimes: [runtime] });
    other = second;
    const agent = {
      runtime: 'fast',
      playbooks: Object.entries(playbooks).map(([name, phases = []]) => playbook(name, ...phases)),
    };
    agentId = await addAgent(server.services, agent);
    const found = await findViewerByKey(server.services.pool, server.key);
    if (!found) throw new Error('The server has no first key.');
    viewer = found;
    // The log as it was committed, also of conversations that are deleted.
    await server.services.pool.query(`
      CREATE TABLE archive (LIKE event);
      CREATE FUNCTION archive() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN INSERT INTO archive SELECT NEW.*; RETURN NEW; END';
      CREATE TRIGGER archive AFTER INSERT ON event FOR EACH ROW EXECUTE FUNCTION archive()`);
  });
  afterAll(() => second.close());

  test('however writers of two servers interleave, the log explains every answer and every row', async () => {
    const writers = fc.array(fc.array(step, { minLength: 1, maxLength: 9 }), { minLength: 2, maxLength: 5 });
    const scripts = fc.array(replyScript, { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(writers, scripts, async (steps, replies) => {
        runtime.scripts = replies;
        const input = { agentId, action: 'NONE', awaitReply: false, state: initial } as const;
        const created = await createConversation(server.services, viewer, input);
        const history = new History(created.conversationId);
        conversations += 1;
        await Promise.all(steps.map((own, i) => history.write((i % 2 === 0 ? server : other).services, own)));
        await history.settle(
          conversations % 2 === 0 || replies.some(({ ending }) => ending === 'hang') ? 'stop' : 'await',
        );
        await history.look();
        await history.repeat();
        await history.look();
        await history.check();
      }),
      { seed: 20_261_122, numRuns: histories, endOnFailure: true },
    );
  });
}
