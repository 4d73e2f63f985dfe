import type { z } from 'zod';
import { about, environment, settings } from './settings.ts';

/** Signing in takes all of them. */
const oidcNames = ['OIDC_ISSUER', 'OIDC_CLIENT_ID', 'OIDC_CLIENT_SECRET', 'OIDC_ALLOWED_DOMAINS'] as const;

const checked = environment.superRefine((values, context) => {
  const missing = oidcNames.filter((name) => values[name] === undefined);
  if (missing.length === oidcNames.length) return;
  for (const name of missing) context.addIssue({ code: 'custom', path: [name], message: 'is missing' });
});

const config = checked.transform((values) => ({
  port: values.PORT,
  host: values.HOST,
  databaseUrl: values.DATABASE_URL,
  databaseDirectUrl: values.DATABASE_DIRECT_URL,
  databasePooler: values.DATABASE_POOLER,
  dataDir: values.DATA_DIR,
  storageUrl: values.STORAGE_URL,
  attachmentMaxMb: values.ATTACHMENT_MAX_MB,
  eventsUrl: values.EVENTS_URL,
  bootstrapApiKey: values.BOOTSTRAP_API_KEY,
  leaseSeconds: values.LEASE_SECONDS,
  graceSeconds: values.GRACE_SECONDS,
  drainSeconds: values.DRAIN_SECONDS,
  shutdownSeconds: values.SHUTDOWN_SECONDS ?? values.DRAIN_SECONDS + values.GRACE_SECONDS + 8,
  runtimeSilenceSeconds: values.RUNTIME_SILENCE_SECONDS,
  historyBytes: values.HISTORY_BYTES,
  maxEndUserMessageBytes: values.MAX_END_USER_MESSAGE_BYTES,
  runtimeModules: values.RUNTIME_MODULES,
  modelUrl: values.PARLEY_MODEL_URL,
  modelApiKey: values.PARLEY_MODEL_API_KEY,
  model: values.PARLEY_MODEL,
  anthropicApiKey: values.ANTHROPIC_API_KEY,
  googleApiKey: values.GOOGLE_GENERATIVE_AI_API_KEY,
  allowPrivateAddresses: values.ALLOW_PRIVATE_ADDRESSES,
  databasePoolSize: values.DATABASE_POOL_SIZE,
  keepAliveSeconds: values.KEEP_ALIVE_SECONDS,
  maxConnectionsPerViewer: values.MAX_CONNECTIONS_PER_VIEWER,
  maxSubscriptionsPerConnection: values.MAX_SUBSCRIPTIONS_PER_CONNECTION,
  maxUnauthenticatedConnections: values.MAX_UNAUTHENTICATED_CONNECTIONS,
  rateLimitPerKey: values.RATE_LIMIT_PER_KEY,
  rateLimitPerContact: values.RATE_LIMIT_PER_CONTACT,
  maxRunningRepliesPerContact: values.MAX_RUNNING_REPLIES_PER_CONTACT,
  replyLimitPerContact: values.REPLY_LIMIT_PER_CONTACT,
  modelTokenLimitPerContact: values.MODEL_TOKEN_LIMIT_PER_CONTACT,
  introspection: values.INTROSPECTION === 'on',
  persistedOperations: values.PERSISTED_OPERATIONS,
  persistedOperationsOnly: values.PERSISTED_OPERATIONS_ONLY,
  publicUrl: values.PUBLIC_URL,
  oidc: oidcOf(values),
  smtpUrl: values.SMTP_URL,
  letterLimitPerInbox: values.LETTER_LIMIT_PER_INBOX,
  logLevel: values.LOG_LEVEL,
  visitLimitPerAddress: values.VISIT_LIMIT_PER_ADDRESS,
  visitLimitPerInbox: values.VISIT_LIMIT_PER_INBOX,
  trustedProxies: values.TRUSTED_PROXIES,
  allowedOrigins: values.ALLOWED_ORIGINS,
}));

/** How operators sign in. Null if they do not. */
function oidcOf(values: z.output<typeof environment>) {
  const { OIDC_ISSUER: issuer, OIDC_CLIENT_ID: clientId, OIDC_CLIENT_SECRET: clientSecret } = values;
  const { OIDC_ALLOWED_DOMAINS: allowedDomains } = values;
  if (issuer === undefined || clientId === undefined || clientSecret === undefined || !allowedDomains) return null;
  return { issuer, clientId, clientSecret, allowedDomains };
}

/** The settings in force. Durations are in seconds, as their names say. */
export type Config = Readonly<z.output<typeof config>> & {
  /** Whether `NODE_ENV` is `production`. */
  readonly production: boolean;
};

/** Some settings are invalid. The message names all of them, one per line, and shows no secrets. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(['These settings cannot be used:', ...faults].join('\n  '));
    this.faults = faults;
  }
}

/**
 * Reads the settings from environment variables. An empty variable counts as unset.
 * @throws {SettingsError} naming all invalid settings.
 */
export function readConfig(env: Record<string, string | undefined> = process.env): Config {
  const given = Object.fromEntries(settings.map(({ name }) => [name, env[name]?.trim() || undefined]));
  const production = env.NODE_ENV === 'production';
  if (production) given.INTROSPECTION ??= 'off';
  const { data, error } = config.safeParse(given);
  if (error) throw new SettingsError(faultsIn(error, given));
  return { ...data, production };
}

function faultsIn(error: z.ZodError, given: Record<string, string | undefined>): string[] {
  return Object.entries(environment.shape).flatMap(([name, schema]) => {
    const issue = error.issues.find(({ path }) => path[0] === name);
    if (!issue) return [];
    const { secret, allowed = '' } = about.get(schema) ?? {};
    const wrong = secret || given[name] === undefined ? issue.message : `is ${JSON.stringify(given[name])}`;
    return [`${name} ${wrong}; allowed: ${allowed}`];
  });
}
