// The limit for sends where there is no pgbench: the statement over and over, from Node.
import pg from 'pg';
import { newId } from '../../src/ids.ts';
import { now } from '../clock.ts';
import { obey } from '../process.ts';
import { numberedId, randomNumber, type SendStatement } from '../send-statement.ts';

export type PlainPgCommands = {
  /** Sends for a time, in numbered conversations; returns how many messages a second. */
  send(argument: {
    statement: SendStatement;
    conversations: number;
    connections: number;
    seconds: number;
  }): Promise<number>;
};

const commands: PlainPgCommands = {
  async send({ statement, conversations, connections, seconds }) {
    const { text, values, conversationId, messageId } = statement;
    const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: connections });
    let count = 0;
    const start = now();
    const deadline = start + seconds * 1000;
    const work = async () => {
      for (; now() < deadline; count += 1) {
        const id = numberedId(randomNumber(conversations));
        const own = values.map((value) => value?.replace(messageId, newId()).replace(conversationId, id) ?? null);
        await pool.query({ name: 'send', text, values: own });
      }
    };
    await Promise.all(Array.from({ length: connections }, work));
    const rate = (count * 1000) / (now() - start);
    await pool.end();
    return rate;
  },
};
obey(commands);
