import { z } from 'zod';
import { logLevels } from './logger.ts';
import { apiKey, checkDatabaseUrl, checkEventsUrl, checkWebUrl, toList, toOrigins, whole } from './setting-values.ts';

interface About {
  description: string;
  allowed: string;
  /** A value that must never be shown. */
  secret?: true;
}

/** What is told of each of them. */
export const about = z.registry<About>();

const printable = 'printable ASCII characters without spaces';

/** The environment variables: what each may be, what it is unset, and what it means. */
export const environment = z.object({
  PORT: whole(0, 65_535).prefault('4000').register(about, {
    description: 'The TCP port to listen on. 0 takes any free one.',
    allowed: 'a whole number from 0 to 65535',
  }),
  HOST: z
    .string()
    .regex(/^[^\s/]+$/)
    .prefault('127.0.0.1')
    .register(about, {
      description: 'The address to listen on. 0.0.0.0 or :: listens on all.',
      allowed: 'a host name or an IP address',
    }),
  DATABASE_URL: z.string().superRefine(checkDatabaseUrl).optional().register(about, {
    description: 'The PostgreSQL database, 15 or newer. Unset: an embedded PostgreSQL in `DATA_DIR`.',
    allowed: 'postgres://user:password@host:port/database, with special characters percent-encoded',
    secret: true,
  }),
  DATABASE_DIRECT_URL: z
    .string()
    .superRefine(checkDatabaseUrl)
    .optional()
    .register(about, {
      description:
        'The same database, not through a pooler, where `DATABASE_URL` leads to one: for migrations, and for the connections ' +
        'that events come by and that tell of this server. Unset: `DATABASE_URL`.',
      allowed: 'postgres://user:password@host:port/database, with special characters percent-encoded',
      secret: true,
    }),
  DATABASE_POOLER: z
    .enum(['none', 'transaction'])
    .prefault('none')
    .register(about, {
      description:
        '`transaction` where `DATABASE_URL` leads to a pooler in transaction mode, such as PgBouncer: statements then have no ' +
        'names, and limits on their time are for the role to set.',
      allowed: 'none or transaction',
    }),
  DATA_DIR: z.string().prefault('.data').register(about, {
    description: 'The folder of the embedded database and of everything else that is kept in files.',
    allowed: 'a path',
  }),
  EVENTS_URL: z
    .string()
    .superRefine(checkEventsUrl)
    .optional()
    .register(about, {
      description:
        'What carries events between servers: `redis://` or `rediss://` for Redis, `postgres://` for a database, `memory:` for ' +
        'one process alone. Unset: `DATABASE_DIRECT_URL`, or else the database.',
      allowed: 'redis://…, rediss://…, postgres://… or memory:',
      secret: true,
    }),
  BOOTSTRAP_API_KEY: z
    .string()
    .min(16, 'is too short')
    .regex(/^[\x21-\x7e]*$/, 'contains a space or another character that is not printable ASCII')
    .optional()
    .register(about, {
      description: "The first organization's API key on an empty database. Unset: one is made and printed once.",
      allowed: 'at least 16 printable ASCII characters without spaces',
      secret: true,
    }),
  LEASE_SECONDS: whole(1, 300).prefault('5').register(about, {
    description: 'After so many seconds without a sign of life, other servers settle the replies of a server.',
    allowed: 'a whole number from 1 to 300',
  }),
  GRACE_SECONDS: whole(0, 300).prefault('10').register(about, {
    description: 'How many seconds running replies may take to finish when the server is told to terminate.',
    allowed: 'a whole number from 0 to 300',
  }),
  DRAIN_SECONDS: whole(0, 300).prefault('2').register(about, {
    description:
      'How many seconds a server that gets SIGTERM goes on taking work while `/ready` says 503 and each response closes its connection, so that load balancers turn to others first.',
    allowed: 'a whole number from 0 to 300',
  }),
  SHUTDOWN_SECONDS: whole(1, 900).optional().register(about, {
    description:
      'After so many seconds a server that was told to terminate has ended, whatever is left undone; draining and grace are cut to fit. Unset: 8 more than `DRAIN_SECONDS` and `GRACE_SECONDS` together.',
    allowed: 'a whole number from 1 to 900',
  }),
  RUNTIME_SILENCE_SECONDS: whole(1, 3600).prefault('120').register(about, {
    description:
      "How many seconds an agent's runtime may take for the next piece of its reply, before the reply ends in an error.",
    allowed: 'a whole number from 1 to 3600',
  }),
  HISTORY_BYTES: whole(1024, 16_777_216).prefault('262144').register(about, {
    description:
      'How many bytes of the conversation a reply is generated from: the newest messages, and of the last that fits its beginning, with a mark. Older ones are left out.',
    allowed: 'a whole number from 1024 to 16777216',
  }),
  MAX_END_USER_MESSAGE_BYTES: whole(1, 1_048_576).prefault('65536').register(about, {
    description:
      'The longest message that may be sent with a client token, in bytes of its content and of all that goes with it.',
    allowed: 'a whole number from 1 to 1048576',
  }),
  RUNTIME_MODULES: z.string().transform(toList).prefault('').register(about, {
    description:
      'Modules with further runtimes, separated by commas: paths, which begin with `.` or `/`, or names of packages. Unset: none.',
    allowed: 'paths and names of packages, separated by commas',
  }),
  PARLEY_MODEL_URL: z.string().superRefine(checkWebUrl).optional().register(about, {
    description:
      'Where the `model` runtime finds a model: the base URL of an OpenAI-compatible server, such as `http://127.0.0.1:11434/v1` for Ollama. Unset: that provider is off.',
    allowed: 'http://… or https://…',
    secret: true,
  }),
  PARLEY_MODEL_API_KEY: apiKey().register(about, {
    description: 'The key for `PARLEY_MODEL_URL`. Unset: none is sent.',
    allowed: printable,
    secret: true,
  }),
  PARLEY_MODEL: z.string().max(200).optional().register(about, {
    description: 'The model that agents use whose parameters name none.',
    allowed: 'the name that the provider gives it, up to 200 characters',
  }),
  ANTHROPIC_API_KEY: apiKey().register(about, {
    description: 'The key for models of Anthropic. Unset: that provider is off.',
    allowed: printable,
    secret: true,
  }),
  GOOGLE_GENERATIVE_AI_API_KEY: apiKey().register(about, {
    description: 'The key for models of Google. Unset: that provider is off.',
    allowed: printable,
    secret: true,
  }),
  ALLOW_PRIVATE_ADDRESSES: z
    .enum(['true', 'false'])
    .prefault('false')
    .transform((value) => value === 'true')
    .register(about, {
      description:
        'Whether the tools of agents may call addresses that are not public: this machine, its private network, the metadata of a cloud.',
      allowed: 'true or false',
    }),
  DATABASE_POOL_SIZE: whole(1, 100)
    .prefault('10')
    .register(about, {
      description:
        'The most database connections that one server makes for what clients ask. It makes up to ten more for running ' +
        'replies, the lease and the events.',
      allowed: 'a whole number from 1 to 100',
    }),
  KEEP_ALIVE_SECONDS: whole(1, 300).prefault('12').register(about, {
    description: 'How often an open WebSocket is probed. A peer that has not answered by the next probe is dropped.',
    allowed: 'a whole number from 1 to 300',
  }),
  MAX_CONNECTIONS_PER_VIEWER: whole(1, 1_000_000).prefault('1000').register(about, {
    description: 'The most WebSockets and streams that one credential may hold open on one server.',
    allowed: 'a whole number from 1 to 1000000',
  }),
  MAX_SUBSCRIPTIONS_PER_CONNECTION: whole(1, 100_000).prefault('100').register(about, {
    description: 'The most operations that may run on one WebSocket at a time.',
    allowed: 'a whole number from 1 to 100000',
  }),
  MAX_UNAUTHENTICATED_CONNECTIONS: whole(2, 1_000_000).prefault('4000').register(about, {
    description:
      'The most connections to one server that have not shown a credential yet; half of them may come from one address. More are refused with 503.',
    allowed: 'a whole number from 2 to 1000000',
  }),
  RATE_LIMIT_PER_KEY: whole(0, 1_000_000).prefault('6000').register(about, {
    description:
      'How many operations a minute one API key may send, counted over all servers; each root field counts. 0 is no limit.',
    allowed: 'a whole number from 0 to 1000000',
  }),
  RATE_LIMIT_PER_CONTACT: whole(0, 1_000_000)
    .prefault('120')
    .register(about, {
      description:
        'How many operations a minute one person may send with client tokens, counted over all servers; each root field ' +
        'counts. 0 is no limit.',
      allowed: 'a whole number from 0 to 1000000',
    }),
  MAX_RUNNING_REPLIES_PER_CONTACT: whole(0, 1_000_000).prefault('5').register(about, {
    description: 'The most replies that one person with client tokens may have running at a time. 0 is no limit.',
    allowed: 'a whole number from 0 to 1000000',
  }),
  REPLY_LIMIT_PER_CONTACT: whole(0, 1_000_000).prefault('30').register(about, {
    description:
      'How many replies a minute one person may begin with client tokens, counted over all servers. 0 is no limit.',
    allowed: 'a whole number from 0 to 1000000',
  }),
  MODEL_TOKEN_LIMIT_PER_CONTACT: whole(0, 100_000_000)
    .prefault('500000')
    .register(about, {
      description:
        'How many tokens a minute models may read and write in replies to one person; beyond it client tokens begin no more. ' +
        '0 is no limit.',
      allowed: 'a whole number from 0 to 100000000',
    }),
  INTROSPECTION: z.enum(['on', 'off']).prefault('on').register(about, {
    description: 'Whether the schema and GraphiQL are shown. Unset where `NODE_ENV` is `production`: `off`.',
    allowed: 'on or off',
  }),
  LOG_LEVEL: z
    .enum(logLevels)
    .prefault('info')
    .register(about, {
      description: 'How much is written to stderr.',
      allowed: logLevels.join(', '),
    }),
  ALLOWED_ORIGINS: z.string().transform(toOrigins).prefault('').register(about, {
    description: 'The origins of other web pages that may use the API from a browser. Unset: none.',
    allowed: 'origins separated by commas, such as https://app.example.com, without a path',
  }),
});

export interface Setting {
  /** The environment variable. */
  name: string;
  description: string;
  allowed: string;
  /** As it would be written in the environment; null when unset means something of its own. */
  default: string | null;
}

/** Every setting, in the order in which they are worth reading about. */
export const settings: readonly Setting[] = Object.entries(environment.shape).map(([name, schema]) => {
  const { description = '', allowed = '' } = about.get(schema) ?? {};
  return { name, description, allowed, default: String(schema.parse(undefined) ?? '') || null };
});
