// A process of its own that runs the embedded PostgreSQL on the folder it is given, until it is killed. It says on a line
// `url` and the URL of the database `postgres`, or `error` and what went wrong.
import { startEmbeddedPostgres } from '../../src/postgres/embedded.ts';

const [dataDir, durability] = process.argv.slice(2);
if (!dataDir) throw new Error('usage: own-postgres.ts DATA_DIR [durable]');
try {
  const server = await startEmbeddedPostgres({ dataDir, durable: durability === 'durable' });
  console.log('url', server.url('postgres'));
  setInterval(() => {}, 60_000);
} catch (error) {
  console.log('error', error instanceof Error ? error.message : error);
}
