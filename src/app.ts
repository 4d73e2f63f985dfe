import { promises as dns } from 'node:dns';
import { fileURLToPath } from 'node:url';
import { createAuthenticate } from './access/authenticate.ts';
import { removeHandler } from './attachments/remove.ts';
import { preparationGate } from './attachments/model.ts';
import { scheduleSweep, sweepHandler } from './attachments/sweep.ts';
import { downloadLimits, TransferGate, uploadLimits } from './attachments/transfer-gate.ts';
import { bootstrap } from './access/bootstrap.ts';
import { Connections } from './access/connections.ts';
import { Credentials } from './access/credentials.ts';
import { KeyUses } from './access/key-uses.ts';
import { LocalSignIn, reachable } from './access/local-sign-in.ts';
import { openRateWindows, RateLimits } from './access/rate-limits.ts';
import { ReplyLimits } from './access/reply-limits.ts';
import { SessionCookie } from './access/session-cookie.ts';
import { Standing } from './access/standing.ts';
import { VisitLimit } from './access/visit-limit.ts';
import { knowledgeRuntime } from './agents/knowledge/runtime.ts';
import { modelRuntime } from './agents/model/runtime.ts';
import type { Runtime } from './agents/runtime.ts';
import { AgentRuntimes } from './agents/runtimes.ts';
import type { Config } from './config.ts';
import { FeedRegistry } from './conversations/stream/feed-registry.ts';
import { startForgettingKeys } from './conversations/commands/idempotency.ts';
import { Presences } from './conversations/presence/presences.ts';
import { LogTail } from './conversations/lists/log-tail.ts';
import { turnsOfMissedChanges } from './conversations/lists/missed-changes.ts';
import { conversationGate } from './conversations/log/commit.ts';
import { LogEpoch } from './conversations/log/epoch.ts';
import { ConversationSearch } from './conversations/lists/search.ts';
import { startSearchBackfill } from './conversations/lists/search-backfill.ts';
import { Email } from './email/email.ts';
import type { ResolveDns } from './email/model.ts';
import { LetterPost } from './email/receiving/post.ts';
import { StartupError } from './errors.ts';
import { readBusKey } from './bus/bus-key.ts';
import { chooseBus } from './bus/choose.ts';
import { erasureJobs } from './erasure/erasure-jobs.ts';
import { retentionHandler, scheduleRetention } from './erasure/retention.ts';
import { Lease } from './generation/lease.ts';
import { Recovery } from './generation/recovery.ts';
import { Runner } from './generation/runner.ts';
import type { Services } from './graphql/context.ts';
import { noLongerServed } from './graphql/errors.ts';
import { readPersistedOperations } from './graphql/persisted-operations.ts';
import { payloadMaker } from './graphql/webhook-payloads.ts';
import { newId } from './ids.ts';
import { SearchTurns } from './search-turns.ts';
import { JobQueue } from './jobs/queue.ts';
import type { Handler } from './jobs/task.ts';
import { scheduleTidying, tidyHandler } from './jobs/tidy.ts';
import { trackedHandler } from './jobs/tracked.ts';
import { JobWatch } from './jobs/watch.ts';
import { JobWorkers } from './jobs/workers.ts';
import { WebChatOrigins } from './inboxes/origins.ts';
import { startForgettingVisitors } from './inboxes/visits/forget.ts';
import { SchemaChecker } from './json-schema/checker.ts';
import { consult, keeper } from './knowledge/consult.ts';
import { KnowledgeBase } from './knowledge/knowledge-base.ts';
import { KeyedGate } from './keyed-gate.ts';
import type { Logger } from './logger.ts';
import { exportJobs } from './records/exports.ts';
import { openStorage } from './storage/storage.ts';
import { openDatabases } from './open-databases.ts';
import { accountName } from './account-name.ts';
import { localOperator } from './operators/sign-in/identity.ts';
import { OperatorSignIn } from './operators/sign-in/sign-in.ts';
import { RunningOperations } from './running-operations.ts';
import { openHttpServer } from './server.ts';
import { stopServing } from './shutdown-steps.ts';
import type { ShutdownOptions } from './shutdown-deadline.ts';
import { Startup } from './startup.ts';
import { Endpoints } from './webhooks/sending/endpoint.ts';
import { Webhooks } from './webhooks/webhooks.ts';
import { within } from './within.ts';
import { WorkClock } from './work-clock.ts';

/** How long `/ready` waits for the database, in milliseconds. */
const READY_MS = 2000;

/** Of the package, beside `src` and `dist`. */
const corpusDirectory = fileURLToPath(new URL('../corpus', import.meta.url));

export interface App {
  services: Services;
  /** The address it listens at, for example `http://127.0.0.1:4000`. */
  url: string;
  /** The first organization's key, if this start created it. Otherwise null. */
  newKey: string | null;
  /** Whether any key has been used. If not, the first key may have been lost. */
  hasUsedKey: boolean;
  /** A link that signs in a browser on this machine, once. Null if there is none. */
  signInLink: string | null;
  /** The link by which the first admin signs in with the provider. Null if there is none, or somebody has signed in. */
  setupLink: string | null;
  /** Closes everything in reverse order, within the total time that the settings allow. Never rejects. */
  close(options?: ShutdownOptions): Promise<void>;
}

/**
 * Listens, opens what the services need, and builds them. If a step fails or `signal` aborts, closes everything again. When `signal`
 * aborts, throws its reason. Runs `otherHandlers` beside the program's own, and
 * verifies letters by what `resolveDns` says. This is long because it is one list: every part of a server,
 * in the order in which they start, and against which they end.
 */
export async function startApp(
  config: Config,
  logger: Logger,
  runtimes: readonly Runtime[] = [],
  signal: AbortSignal = new AbortController().signal,
  otherHandlers: readonly Handler[] = [],
  resolveDns: ResolveDns = (name, type) => dns.resolve(name, type),
): Promise<App> {
  const startup = new Startup(config.shutdownSeconds, logger, signal);
  try {
    signal.throwIfAborted();
    return await open();
  } catch (error) {
    await startup.close();
    throw signal.aborted ? signal.reason : error;
  }

  async function open(): Promise<App> {
    // Comes first, so that a port in use is detected before anything is created.
    const server = await openHttpServer({ ...config, logger });
    startup.onClose(() => server.close());
    startup.step(`Listens at ${server.url}`);
    const persisted = await listedOperations(config);
    const { url: databaseUrl, directUrl, pool, prisma, ...pools } = await openDatabases(config, startup);
    const logEpoch = new LogEpoch(pool, logger);
    await logEpoch.start();
    // New connections may follow a failover, which ends the old ones.
    pool.on('connect', () => logEpoch.readQuietly());
    const { organizationId, newKey, hasUsedKey } = await bootstrap(
      { pool, prisma },
      {
        apiKey: config.bootstrapApiKey,
        newId,
        corpusDirectory,
      },
    );
    startup.step('Has an organization, an agent and a key');

    const key = await readBusKey(pool);
    const bus = await chooseBus({ eventsUrl: config.eventsUrl, databaseUrl: directUrl, key, logger });
    startup.onClose(() => bus.close());
    await bus.connect().catch((error: unknown) => {
      throw new StartupError(cannotReachBus(error));
    });

    const standing = new Standing();
    const connections = new Connections({ db: pool, logger, standing, limit: config.maxConnectionsPerViewer });
    startup.onClose(() => connections.close());
    bus.subscribe({
      onHint(hint) {
        if (hint.kind === 'revoked') connections.revoke(hint.keyId);
      },
      onReconnect() {
        // Nothing to do: the next check of the rows finds what was missed.
      },
    });
    const keyUses = new KeyUses({ db: pool, logger });
    startup.onClose(() => keyUses.close());
    const windows = await openRateWindows({
      databaseUrl,
      redisUrl: config.eventsUrl?.startsWith('redis') ? config.eventsUrl : null,
      logger,
    });
    startup.onClose(() => windows.close());
    const replyLimits = new ReplyLimits({
      db: pool,
      windows,
      logger,
      limits: {
        running: config.maxRunningRepliesPerContact,
        perMinute: config.replyLimitPerContact,
        tokensPerMinute: config.modelTokenLimitPerContact,
      },
    });

    const knowledge = new KnowledgeBase(pool);
    const search = consult(knowledge, logger);
    const runningOperations = new RunningOperations();
    const schemas = new SchemaChecker(logger);
    startup.onClose(() => schemas.close());
    const agentRuntimes = new AgentRuntimes(
      [
        knowledgeRuntime({ search, keepUnanswered: keeper({ pool, newId }, logger) }),
        modelRuntime({ search, logger, schemas, ...modelOptions(config) }),
        ...runtimes,
      ],
      schemas,
    );
    const storage = await openStorage(config);
    startup.onClose(() => storage.close());
    const jobs = new JobQueue(pool);
    const jobWatch = new JobWatch(pool, logger);
    startup.onClose(() => jobWatch.close());
    const work = { pool: pools.jobs, bus, jobs, storage, newId, logger };
    const tracked = { EXPORT: exportJobs(work), ERASURE: erasureJobs(work) };
    const email = new Email({
      pool,
      jobPool: pools.jobs,
      bus,
      logger,
      newId,
      serverId: () => lease.claimant(),
      storage,
      smtpUrl: config.smtpUrl,
      resolveDns,
      services: () => services,
    });
    const handlers = [
      trackedHandler(work, tracked),
      tidyHandler(work, tracked),
      removeHandler(work),
      sweepHandler(work),
      retentionHandler(work),
      ...email.handlers,
      ...otherHandlers,
    ];
    const lease = new Lease({
      databaseUrl: directUrl,
      seconds: config.leaseSeconds,
      newId,
      logger,
      onLost: () => {
        runner.fenceAll();
        jobWorkers.fence();
      },
      onLag: (milliseconds) =>
        logger.warn(
          { milliseconds, ran: runningOperations.lately(milliseconds + 1000) },
          'the event loop was busy for over a second',
        ),
    });
    const feedRegistry = new FeedRegistry(pool, bus, logger);
    startup.onClose(() => feedRegistry.close());
    const runner = new Runner({
      pool: pools.replies,
      checkpointPool: pools.checkpoints,
      bus,
      lease,
      logger,
      feedRegistry,
      newId,
      runtimes: agentRuntimes,
      runningOperations,
      silenceSeconds: config.runtimeSilenceSeconds,
      storage,
      historyBytes: config.historyBytes,
      onUsage: (conversationId, tokens) => replyLimits.charge(conversationId, tokens),
    });
    const jobWorkers = new JobWorkers({ queuePool: pools.queue, pool: pools.vital, lease, logger, handlers });
    startup.onClose(() => lease.stop());
    await lease.start();
    const recovery = new Recovery({ pool: pools.vital, bus, lease, runner, logger });
    recovery.start();
    startup.onClose(() => recovery.stop());
    startup.onClose(startForgettingKeys(pool, logger));
    startup.onClose(startForgettingVisitors(pool, logger));
    startup.onClose(startSearchBackfill(pool, logger));
    const searchTurns = new SearchTurns(pool);
    const logTail = new LogTail(pool, bus, logger);
    const presences = new Presences(pool, bus, logger);
    startup.onClose(() => presences.close());

    const payloads = payloadMaker(() => services);
    const webhooks = new Webhooks({
      pool,
      bus,
      logger,
      payloads,
      endpoints: new Endpoints(config),
      serverId: () => lease.claimant(),
    });

    const origin = config.publicUrl ?? reachable(server.url);

    const services: Services = {
      pool,
      clock: new WorkClock(Infinity),
      prisma,
      bus,
      feedRegistry,
      logTail,
      presences,
      logEpoch,
      gate: new KeyedGate(conversationGate),
      searchTurns,
      missedTurns: turnsOfMissedChanges(pool),
      search: new ConversationSearch(pool, searchTurns),
      runner,
      newId,
      logger,
      runtimes: agentRuntimes,
      knowledge,
      maxEndUserMessageBytes: config.maxEndUserMessageBytes,
      schemas,
      runningOperations,
      serverId: () => lease.claimant(),
      standing,
      replyLimits,
      payloads,
      webhooks,
      jobs,
      jobWatch,
      storage,
      preparations: new KeyedGate(preparationGate),
      uploads: new TransferGate(uploadLimits),
      downloads: new TransferGate(downloadLimits),
      maxAttachmentBytes: config.attachmentMaxMb * 1_000_000,
      allowPrivateAddresses: config.allowPrivateAddresses,
      publicUrl: origin,
      visitLimit: new VisitLimit(windows, config.visitLimitPerInbox),
      checkParameters: (...asked) => agentRuntimes.checkParameters(...asked),
      watchCaller: (caller, end) => connections.watch(caller, (why) => end(noLongerServed(why))),
    };
    webhooks.start();
    startup.onClose(() => webhooks.close());
    email.start();
    startup.onClose(() => email.close());
    const signsIn = !config.databaseUrl && !config.production && config.introspection;
    const localSignIn = signsIn
      ? new LocalSignIn({
          url: server.url,
          operatorId: await localOperator({ pool, newId }, { organizationId, account: accountName() }),
          dataDir: config.dataDir,
        })
      : null;
    startup.onClose(() => localSignIn?.close());
    const signIn =
      config.oidc && new OperatorSignIn({ pool, newId, logger }, { organizationId, origin, provider: config.oidc });
    const sessionCookie = config.oidc && new SessionCookie(origin);
    const setupLink = (await signIn?.setupLink()) ?? null;
    server.serve({
      services,
      signIn: signIn && sessionCookie && { signIn, cookie: sessionCookie },
      authenticate: createAuthenticate({
        credentials: new Credentials(pool),
        standing,
        keyUses,
        localSignIn,
        sessionCookie,
      }),
      localSignIn,
      connections,
      rateLimits: new RateLimits(windows, {
        perKey: config.rateLimitPerKey,
        perContact: config.rateLimitPerContact,
        perAddress: config.visitLimitPerAddress,
      }),
      webChatOrigins: new WebChatOrigins(pool, logger),
      letters: new LetterPost({ pool, newId, windows, limitPerInbox: config.letterLimitPerInbox }),
      introspection: config.introspection,
      persisted,
      maxSubscriptionsPerConnection: config.maxSubscriptionsPerConnection,
      checkReady: async () => {
        if (!lease.isHeld()) throw new Error('this server has lost touch with its database');
        await within(READY_MS, pool.query('SELECT 1'));
        if (!bus.isConnected()) throw new Error('the event bus is not connected');
      },
    });
    jobWorkers.start();
    await scheduleTidying(jobs, true);
    await scheduleSweep(jobs, true);
    await scheduleRetention(jobs);
    startup.onClose((shutdown) =>
      stopServing({ server, runner, jobs: jobWorkers, feedRegistry, logTail, ...config }, shutdown),
    );
    startup.step('Is ready');
    return {
      services,
      url: server.url,
      newKey,
      hasUsedKey,
      signInLink: localSignIn?.link ?? null,
      setupLink,
      close: (options) => startup.close(options),
    };
  }
}

async function listedOperations({
  persistedOperations: path,
  persistedOperationsOnly: required,
  introspection,
}: Config) {
  if (path !== undefined) return readPersistedOperations(path, { required, introspection });
  if (required) throw new StartupError('PERSISTED_OPERATIONS_ONLY is true, but PERSISTED_OPERATIONS names no list.');
  return null;
}

function modelOptions({ modelUrl: url, modelApiKey: apiKey, model, ...config }: Config) {
  const keyed = (key: string | undefined) => (key === undefined ? undefined : { apiKey: key });
  return {
    settings: { url, apiKey, model, anthropic: keyed(config.anthropicApiKey), google: keyed(config.googleApiKey) },
    allowPrivateAddresses: config.allowPrivateAddresses,
  };
}

function cannotReachBus(error: unknown): string {
  const reason = error instanceof Error && error.message ? error.message : String(error);
  return `Cannot reach the event bus: ${reason}. Check EVENTS_URL, or leave it out to use the database.`;
}
