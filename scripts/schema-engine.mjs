#!/usr/bin/env node
// What the Prisma CLI runs in place of its native schema engine, which is a download: the WASM build of the same engine
// over @prisma/adapter-pg. It speaks the native engine's protocol: JSON-RPC, a line each, on stdin and stdout.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory, ColumnTypeEnum } from '@prisma/driver-adapter-utils';
import * as wasm from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: { datamodels: { type: 'string', short: 'd', multiple: true }, datasource: { type: 'string' } },
});
const datasource = JSON.parse(options.datasource ?? '{}');

if (positionals[0] === 'cli') await runCommand(positionals[1]);
else await serve();

/** The commands that the CLI runs as processes of their own: can-connect-to-database and create-database. */
async function runCommand(command) {
  const server = databaseConfig();
  const { database } = server;
  if (command === 'create-database') server.database = 'postgres';
  try {
    await execute(server, command === 'create-database' ? `CREATE DATABASE ${pg.escapeIdentifier(database)}` : '');
  } catch (error) {
    const codes = { '28P01': 'P1000', '3D000': 'P1003', '42P04': 'P1009' };
    exitWithError(error.message || error.code, codes[error.code] ?? 'P1001');
  }
}

async function serve() {
  let panic = '';
  globalThis.PRISMA_WASM_PANIC_REGISTRY = { set_message: (message) => (panic = message) };
  // A panic in a callback surfaces here, and the request in hand gets no answer.
  process.on('uncaughtException', (error) => exitWithError(panic || error.stack));
  await instantiate();

  const adapters = bindMigrationAwareSqlAdapterFactory(adapterFactory());
  let engine;
  const handle = async ({ method, params }) => {
    engine ??= await wasm.SchemaEngine.new({ datamodels: datamodels(params) }, () => {}, adapters);
    const result = await engine[method === 'getDatabaseVersion' ? 'version' : method](params);
    // The native engine has the CLI print a diff, by a call of its own.
    if (method === 'diff' && result.stdout != null) {
      send({ id: 1e9, method: 'print', params: { content: result.stdout } });
    }
    return result ?? {};
  };
  const describe = (error) => {
    const registered = /^External error id#(\d+)/.exec(error.message ?? '');
    const cause = registered && adapters.errorRegistry.consumeError(Number(registered[1]))?.error;
    return {
      is_panic: panic !== '',
      message: panic || cause?.message || cause?.code || error.message || String(error),
      error_code: error.code,
      meta: error.meta,
    };
  };
  for await (const line of createInterface({ input: process.stdin })) {
    const request = line.trim() ? JSON.parse(line) : {};
    // What has no method is the CLI's answer to a print.
    if (!request.method) continue;
    try {
      send({ id: request.id, result: await handle(request) });
    } catch (error) {
      send({ id: request.id, error: { code: 4466, message: 'The schema engine failed.', data: describe(error) } });
    }
  }
  process.exit(0);
}

async function instantiate() {
  const glue = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg');
  const binary = readFileSync(glue.replace(/\.js$/, '.wasm'));
  const { instance } = await WebAssembly.instantiate(binary, { './schema_engine_bg.js': wasm });
  wasm.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();
}

/** The schema as [path, content] of each file: named on the command line, or brought by the first request. */
function datamodels(params) {
  if (options.datamodels) return options.datamodels.map((path) => [path, readFileSync(path, 'utf8')]);
  const files = params?.to?.files ?? params?.from?.files ?? params?.schema?.files ?? [];
  return files.map((file) => [file.path, file.content]);
}

function adapterFactory() {
  return {
    provider: 'postgres',
    adapterName: '@prisma/adapter-pg',
    connect: async () => connect(databaseConfig()),
    // PrismaPg's own drops the shadow database while still connected to it, and takes the main one for it when
    // configured by a URL.
    async connectToShadowDb() {
      if (datasource.shadowDatabaseUrl) return connect(parseIntoClientConfig(datasource.shadowDatabaseUrl));
      const main = databaseConfig();
      const database = `prisma_migrate_shadow_db_${randomUUID()}`;
      await execute(main, `CREATE DATABASE "${database}"`);
      const connection = await connect({ ...main, database });
      const dispose = connection.dispose.bind(connection);
      connection.dispose = async () => {
        await dispose();
        await execute(main, `DROP DATABASE IF EXISTS "${database}" WITH (FORCE)`);
      };
      return connection;
    },
  };
}

async function connect(config) {
  return adapt(await new PrismaPg(config).connect());
}

/** Makes a connection or a transaction of PrismaPg what the engine expects of one. */
function adapt(queryable) {
  const OID_CHAR = 18;
  const OID_TEXT = 25;
  const charColumns = new WeakMap();
  const performIO = queryable.performIO.bind(queryable);
  const queryRaw = queryable.queryRaw.bind(queryable);
  // PrismaPg refuses the catalog's type "char".
  queryable.performIO = async (query) => {
    const result = await performIO(query);
    charColumns.set(
      result.rows,
      (result.fields ?? []).map((field) => field.dataTypeID === OID_CHAR),
    );
    for (const field of result.fields ?? []) if (field.dataTypeID === OID_CHAR) field.dataTypeID = OID_TEXT;
    return result;
  };
  queryable.queryRaw = async (query) => {
    const result = await queryRaw(query);
    const isChar = charColumns.get(result.rows);
    const columnTypes = result.columnTypes.map((type, i) => (isChar[i] ? ColumnTypeEnum.Character : type));
    return { ...result, columnTypes };
  };
  // PrismaPg cuts a script at every semicolon, also within a function's body, and gives the pieces to any connection.
  // As one simple query it is one implicit transaction, as with the native engine.
  queryable.executeScript = async (script) => {
    await queryable
      .underlyingDriver()
      .query(script)
      .catch((error) => queryable.onError(error));
  };
  if (queryable.startTransaction) {
    const startTransaction = queryable.startTransaction.bind(queryable);
    queryable.startTransaction = async (isolation) => adapt(await startTransaction(isolation));
  }
  return queryable;
}

function databaseConfig() {
  const url = datasource.url || process.env.DATABASE_URL;
  if (!url) throw new Error('This command needs a database. Set DATABASE_URL to the URL of a PostgreSQL server.');
  return { connectionTimeoutMillis: 5000, ...parseIntoClientConfig(url) };
}

async function execute(config, sql) {
  const client = new pg.Client(config);
  try {
    await client.connect();
    await client.query(sql);
  } finally {
    await client.end().catch(() => {});
  }
}

function send(message) {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}

/** Ends the process with an error as the CLI reads it: a JSON line on stderr, after a first line of any kind. */
function exitWithError(message, code) {
  const fields = { is_panic: false, error_code: code, message };
  process.stderr.write(`\n${JSON.stringify({ level: 'ERROR', target: 'schema_engine::logger', fields })}\n`);
  process.exit(1);
}
