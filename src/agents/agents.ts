import { isDeepStrictEqual } from 'node:util';
import type pg from 'pg';
import { inTransaction, type Queryable, type Pool } from '../db.ts';
import { NotFoundError, UnavailableError } from '../errors.ts';
import { decodeId, type NewId } from '../ids.ts';
import type { SchemaChecker } from '../json-schema/checker.ts';
import { ValueReader } from '../value-reader.ts';
import { AgentInUseError, type AgentUse } from './failures.ts';
import { readTools } from './http-tool.ts';
import { readPlaybooks } from './playbook.ts';
import { type AgentData, type AgentInput, checkAgent, readAgent } from './read-agent.ts';
import type { AgentRuntimes } from './runtimes.ts';

/** The services that the commands on agents use. */
export interface AgentServices {
  pool: Pool;
  newId: NewId;
  runtimes: AgentRuntimes;
  schemas: SchemaChecker;
}

/** The owner of the agents. */
export interface AgentOwner {
  organizationId: string;
}

interface ChangeAgentInput extends AgentInput {
  corpusId?: string | null | undefined;
  makeDefault?: boolean | null | undefined;
}

export interface CreateAgentInput extends ChangeAgentInput {
  name: string;
  runtime: string;
}

export interface UpdateAgentInput extends ChangeAgentInput {
  agentId: string;
}

/** Creates an agent. */
export async function createAgent(
  services: AgentServices,
  owner: AgentOwner,
  input: CreateAgentInput,
): Promise<{ agentId: string }> {
  const id = services.newId();
  const { name, runtime } = input;
  const none = { systemPrompt: null, greeting: null, defaultRuntimeParameters: {}, playbooks: [], tools: [] };
  const reader = new ValueReader();
  const agent = readAgent(reader, services.runtimes, input, { name, runtime, ...none });
  reader.issues.push(...(await checkAgent(services, owner.organizationId, input, agent)));
  reader.finish();
  await inTransaction(services.pool, async (db) => {
    const corpusId = (await lockCorpus(db, owner, input.corpusId)) ?? null;
    await write(db, owner, { id, corpusId, ...agent });
    if (input.makeDefault) await makeDefault(db, owner, id);
  });
  return { agentId: id };
}

/** Changes an agent. A field left out keeps the value of the locked row. */
export async function updateAgent(
  services: AgentServices,
  owner: AgentOwner,
  input: UpdateAgentInput,
): Promise<{ agentId: string }> {
  const id = decodeId('Agent', input.agentId);
  if (!id) throw new NotFoundError(['agentId']);
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt += 1) {
    const expected = readAgent(new ValueReader(), services.runtimes, input, await readRow(services.pool, owner, id));
    const issues = await checkAgent(services, owner.organizationId, input, expected);
    const isWritten = await inTransaction(services.pool, async (db) => {
      // Locks the corpus before the agent, in the same order as the deletion of a corpus.
      const corpusId = await lockCorpus(db, owner, input.corpusId);
      const before = await readRow(db, owner, id, 'FOR NO KEY UPDATE');
      const reader = new ValueReader();
      const agent = readAgent(reader, services.runtimes, input, before);
      if (!isDeepStrictEqual(checkedOf(agent), checkedOf(expected))) return false;
      reader.issues.push(...issues);
      reader.finish();
      await write(db, owner, { id, corpusId: corpusId === undefined ? before.corpusId : corpusId, ...agent });
      if (input.makeDefault) await makeDefault(db, owner, id);
      return true;
    });
    if (isWritten) return { agentId: id };
  }
  throw new UnavailableError('Others are changing this agent at the same time. Nothing was changed. Try again.', 1);
}

/** How often an update is retried because the agent changed after its parameters were checked. */
const MAX_ATTEMPTS = 5;

const checkedOf = ({ runtime, defaultRuntimeParameters }: AgentData) => ({ runtime, defaultRuntimeParameters });

/** Deletes an agent. Throws `AgentInUseError` if something refers to it. */
export async function deleteAgent(
  services: AgentServices,
  owner: AgentOwner,
  input: { agentId: string },
): Promise<{ agentId: string }> {
  const id = decodeId('Agent', input.agentId);
  if (!id) throw new NotFoundError(['agentId']);
  await inTransaction(services.pool, async (db) => {
    // This lock keeps new references from being written.
    const { rows } = await db.query({
      text: 'SELECT FROM agent WHERE id = $1 AND organization_id = $2 FOR UPDATE',
      values: [id, owner.organizationId],
    });
    if (rows.length === 0) throw new NotFoundError(['agentId']);
    const usedBy = await readUses(db, id);
    if (usedBy.length > 0) throw new AgentInUseError(id, usedBy);
    await db.query({ text: 'DELETE FROM agent WHERE id = $1', values: [id] });
  });
  return { agentId: id };
}

type AgentRow = AgentData & { corpusId: string | null };

/** The row id of a corpus, locked against deletion until the transaction ends. Null and undefined are returned as they are. */
async function lockCorpus<T extends null | undefined>(
  db: pg.PoolClient,
  { organizationId }: AgentOwner,
  id: string | T,
): Promise<string | T> {
  if (typeof id !== 'string') return id;
  const uuid = decodeId('Corpus', id);
  const { rows } = await db.query({
    text: 'SELECT FROM corpus WHERE id = $1 AND organization_id = $2 FOR KEY SHARE',
    values: [uuid, organizationId],
  });
  if (uuid === null || rows.length === 0) throw new NotFoundError(['corpusId']);
  return uuid;
}

async function readRow(
  db: Queryable,
  { organizationId }: AgentOwner,
  id: string,
  lock: 'FOR NO KEY UPDATE' | '' = '',
): Promise<AgentRow> {
  const { rows } = await db.query<Omit<AgentRow, 'playbooks' | 'tools'> & { playbooks: unknown; tools: unknown }>({
    text: `SELECT name, runtime, system_prompt AS "systemPrompt", greeting, playbooks, tools, corpus_id AS "corpusId",
        default_runtime_parameters AS "defaultRuntimeParameters"
      FROM agent WHERE id = $1 AND organization_id = $2 ${lock}`,
    values: [id, organizationId],
  });
  const row = rows[0];
  if (!row) throw new NotFoundError(['agentId']);
  return { ...row, playbooks: readPlaybooks(row.playbooks), tools: readTools(row.tools) };
}

async function write(db: pg.PoolClient, owner: AgentOwner, agent: AgentRow & { id: string }): Promise<void> {
  await db.query({
    text: `INSERT INTO agent (id, organization_id, name, runtime, system_prompt, greeting, default_runtime_parameters,
        playbooks, tools, corpus_id)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
      ON CONFLICT (id) DO UPDATE SET name = excluded.name, runtime = excluded.runtime,
        system_prompt = excluded.system_prompt, greeting = excluded.greeting,
        default_runtime_parameters = excluded.default_runtime_parameters, playbooks = excluded.playbooks,
        tools = excluded.tools, corpus_id = excluded.corpus_id`,
    values: [
      agent.id,
      owner.organizationId,
      agent.name,
      agent.runtime,
      agent.systemPrompt,
      agent.greeting,
      JSON.stringify(agent.defaultRuntimeParameters),
      JSON.stringify(agent.playbooks),
      JSON.stringify(agent.tools),
      agent.corpusId,
    ],
  });
}

async function makeDefault(db: pg.PoolClient, { organizationId }: AgentOwner, id: string): Promise<void> {
  await db.query({
    text: 'UPDATE organization SET default_agent_id = $1 WHERE id = $2',
    values: [id, organizationId],
  });
}

async function readUses(db: pg.PoolClient, id: string): Promise<AgentUse[]> {
  const { rows } = await db.query<{ use: AgentUse }>({
    text: `SELECT use FROM (VALUES
        (1, 'CONVERSATIONS', EXISTS (SELECT FROM conversation WHERE agent_id = $1)),
        (2, 'INBOXES', EXISTS (SELECT FROM inbox WHERE agent_id = $1)),
        (3, 'DEFAULT_AGENT', EXISTS (SELECT FROM organization WHERE default_agent_id = $1))
      ) AS uses(place, use, holds) WHERE holds ORDER BY place`,
    values: [id],
  });
  return rows.map(({ use }) => use);
}
