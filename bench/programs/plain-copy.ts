// The limit for exports: PostgreSQL's own CSV of the same rows, into a file.
import { createWriteStream, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { to } from 'pg-copy-streams';
import { now } from '../clock.ts';
import { obey } from '../process.ts';

export type PlainCopyCommands = {
  /** Returns how many rows a second, when there are so many. */
  copy(argument: { rows: number }): Promise<number>;
};

const textOf = (message: string) =>
  `(SELECT string_agg(f.text, '' ORDER BY f.index) FROM fragment f WHERE f.message_id = ${message}.id AND f.kind = 'TEXT')`;

const statement = `COPY (
    SELECT m.created_at, ${textOf('m')}, a.completed_at, ${textOf('a')}, a.status, b.rating, b.comment, agent.name, inbox.name,
      contact.display_name, c.id, m.id, a.id
    FROM message m JOIN conversation c ON c.id = m.conversation_id JOIN agent ON agent.id = c.agent_id
    LEFT JOIN inbox ON inbox.id = c.inbox_id LEFT JOIN contact ON contact.id = c.contact_id
    LEFT JOIN LATERAL (
      SELECT * FROM message r WHERE r.in_reply_to_id = m.id AND r.role = 'AGENT' ORDER BY r.position DESC LIMIT 1
    ) a ON true LEFT JOIN feedback b ON b.message_id = a.id
    WHERE m.role = 'USER' ORDER BY m.created_at, m.id
  ) TO STDOUT WITH (FORMAT csv, HEADER)`;

const path = join(tmpdir(), `parley-bench-${process.pid}.csv`);

const commands: PlainCopyCommands = {
  async copy({ rows }) {
    const client = new pg.Client({ connectionString: process.env.DATABASE_URL });
    await client.connect();
    const start = now();
    await pipeline(client.query(to(statement)), createWriteStream(path));
    const rate = (rows * 1000) / (now() - start);
    await client.end();
    rmSync(path);
    return rate;
  },
};
obey(commands);
