import type { ReplyPart, Runtime, Turn } from '../../src/agents/runtime.ts';
import { hashCredential } from '../../src/access/api-keys.ts';
import type { Prisma } from '../../src/generated/prisma/client.ts';
import type { Services } from '../../src/graphql/context.ts';
import { decodeId, encodeId, type IdType } from '../../src/ids.ts';
import type { JsonObject } from '../../src/json.ts';
import { type ArticleInput, importArticles } from '../../src/knowledge/import.ts';
import { ask, type Target } from './client.ts';

/** What a mutation came to. Each member of its union has those of these that are its own and were asked for. */
export interface Outcome {
  __typename: string;
  detail: string;
  path: string[];
  issues: { path: string[]; detail: string }[];
  cursor: string;
  conversation: { id: string; version: number };
  message: { id: string };
  reply: { id: string; text: string } | null;
  handoff: { id: string };
}

/** The outcome of a mutation that is named `result` and takes an `$input`. */
export async function command(target: Target, document: string, input: Record<string, unknown>): Promise<Outcome> {
  const { result } = await ask<{ result: Outcome }>(target, document, { input });
  return result;
}

/** The id of a reply that there must be. */
export function replyIdOf({ __typename, detail, reply }: Outcome): string {
  if (!reply) throw new Error(`${__typename} has no reply. ${detail}`);
  return reply.id;
}

/** A runtime that answers at once and remembers what it was given. */
export class ImmediateRuntime implements Runtime {
  readonly name: string;
  readonly parametersSchema: JsonObject;
  private readonly turns: Turn[] = [];

  constructor(name: string, parametersSchema: JsonObject = { type: 'object' }) {
    this.name = name;
    this.parametersSchema = parametersSchema;
  }

  /** What it was given for its last reply. */
  get lastTurn(): Turn {
    const turn = this.turns.at(-1);
    if (!turn) throw new Error(`The runtime ${this.name} was not asked for a reply.`);
    return turn;
  }

  async *reply(turn: Turn): AsyncGenerator<ReplyPart> {
    this.turns.push(turn);
    yield { type: 'text-start' };
    yield { type: 'text-delta', text: `Answer no. ${this.turns.length}.` };
    yield { type: 'text-end' };
    yield { type: 'finish' };
  }
}

/** An organization beside the first one, as whoever has its key. */
export interface Tenant extends Target {
  /** Its row id. */
  readonly organizationId: string;
}

/** Makes an organization with a key and a default agent on this runtime. */
export async function addTenant(server: Target & { services: Services }, runtime: string): Promise<Tenant> {
  const { prisma, newId } = server.services;
  const key = `key-of-${newId()}`;
  const { id } = await prisma.organization.create({
    data: {
      id: newId(),
      name: 'Another organization',
      apiKeys: { create: { id: newId(), name: 'Its key', secretHash: hashCredential(key) } },
    },
  });
  const agentId = await addAgent(server.services, { organizationId: id, runtime });
  await prisma.organization.update({ where: { id }, data: { defaultAgentId: rowId('Agent', agentId) } });
  return { url: server.url, key, organizationId: id };
}

/** Makes an agent, of the first organization unless told otherwise; returns its public id. */
export async function addAgent(
  services: Services,
  data: Partial<Prisma.AgentUncheckedCreateInput> & { runtime: string },
): Promise<string> {
  const agent = await services.prisma.agent.create({ data: { name: 'Robin', ...(await owned(services)), ...data } });
  return encodeId('Agent', agent.id);
}

/** Makes an end user, of the first organization unless told otherwise; returns the public id. */
export async function addContact(
  services: Services,
  data: Partial<Prisma.ContactUncheckedCreateInput> = {},
): Promise<string> {
  const contact = await services.prisma.contact.create({ data: { ...(await owned(services)), ...data } });
  return encodeId('Contact', contact.id);
}

/** Makes a channel, of the first organization unless told otherwise; returns its public id. */
export async function addInbox(
  services: Services,
  data: Partial<Prisma.InboxUncheckedCreateInput> = {},
): Promise<string> {
  const inbox = await services.prisma.inbox.create({
    data: { name: 'A channel', channel: 'WEB_CHAT', ...(await owned(services)), ...data },
  });
  return encodeId('Inbox', inbox.id);
}

/** Makes a corpus of these articles, of the first organization unless told otherwise; returns its public id. */
export async function addCorpus(
  services: Services,
  articles: readonly ArticleInput[],
  data: Partial<Prisma.CorpusUncheckedCreateInput> = {},
): Promise<string> {
  const corpus = await services.prisma.corpus.create({
    data: { name: 'A corpus', ...(await owned(services)), ...data },
  });
  await importArticles(services.pool, corpus.id, articles);
  return encodeId('Corpus', corpus.id);
}

/** The row id that a public id names. */
export function rowId(type: IdType, id: string): string {
  const uuid = decodeId(type, id);
  if (!uuid) throw new Error(`${id} is not the id of a ${type}.`);
  return uuid;
}

async function owned({ prisma, newId }: Services): Promise<{ id: string; organizationId: string }> {
  const { id } = await prisma.organization.findFirstOrThrow({ orderBy: { createdAt: 'asc' } });
  return { id: newId(), organizationId: id };
}
