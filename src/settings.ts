import { z } from 'zod';
import { logLevels } from './logger.ts';
import {
  apiKey,
  checkDatabaseUrl,
  checkEventsUrl,
  checkIssuer,
  checkStorageUrl,
  checkSmtpUrl,
  checkWebUrl,
  toDomains,
  toList,
  toOrigin,
  toOrigins,
  whole,
} from './setting-values.ts';

interface About {
  description: string;
  allowed: string;
  /** A value that must never be shown. */
  secret?: true;
}

/** What is told of each of them. */
export const about = z.registry<About>();

const printable = 'printable ASCII characters without spaces';

/**
 * The environment variables: what each may be, what it is unset, and what it means. The file is long because the list is in one place.
 */
export const environment = z.object({
  PORT: whole(0, 65_535).prefault('4000').register(about, {
    description: 'The TCP port to listen on. 0 picks a free port.',
    allowed: 'a whole number from 0 to 65535',
  }),
  HOST: z
    .string()
    .regex(/^[^\s/]+$/)
    .prefault('127.0.0.1')
    .register(about, {
      description: 'The address to listen on. 0.0.0.0 or :: listens on all addresses.',
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
        'A direct connection to the same database, if `DATABASE_URL` leads through a pooler. Used for migrations, ' +
        "events and this server's lease. Unset: `DATABASE_URL`.",
      allowed: 'postgres://user:password@host:port/database, with special characters percent-encoded',
      secret: true,
    }),
  DATABASE_POOLER: z
    .enum(['none', 'transaction'])
    .prefault('none')
    .register(about, {
      description:
        'Set it to `transaction` if `DATABASE_URL` leads through a pooler in transaction mode, such as PgBouncer. Statements are then ' +
        'not prepared, and you must set their time limits on the database role.',
      allowed: 'none or transaction',
    }),
  DATA_DIR: z.string().prefault('.data').register(about, {
    description: 'The folder for the embedded database and all other files.',
    allowed: 'a path',
  }),
  STORAGE_URL: z
    .string()
    .superRefine(checkStorageUrl)
    .optional()
    .register(about, {
      description:
        'Where files are kept: a bucket of an S3-compatible service, in `region` (`us-east-1` unless set), over TLS unless `tls=off`. ' +
        'Unset: a folder in `DATA_DIR`, which several servers must share.',
      allowed:
        's3://key:secret@host/bucket, with a folder after it and ?region=… if need be, and special characters percent-encoded',
      secret: true,
    }),
  ATTACHMENT_MAX_MB: whole(1, 1000).prefault('10').register(about, {
    description: 'The largest file that may be attached to a message, in megabytes of 1,000,000 bytes.',
    allowed: 'a whole number from 1 to 1000',
  }),
  EVENTS_URL: z
    .string()
    .superRefine(checkEventsUrl)
    .optional()
    .register(about, {
      description:
        'How events travel between servers: `redis://` or `rediss://` for Redis, `nats://` or `tls://` for NATS, `postgres://` for ' +
        'a database, `memory:` for a single process. Unset: `DATABASE_DIRECT_URL`, or else the database.',
      allowed: 'redis://…, rediss://…, nats://…, tls://…, postgres://… or memory:',
      secret: true,
    }),
  BOOTSTRAP_API_KEY: z
    .string()
    .min(16, 'is too short')
    .regex(/^[\x21-\x7e]*$/, 'contains a space or another character that is not printable ASCII')
    .optional()
    .register(about, {
      description:
        "The first organization's API key, created on an empty database. Unset: a key is generated and printed once.",
      allowed: 'at least 16 printable ASCII characters without spaces',
      secret: true,
    }),
  LEASE_SECONDS: whole(1, 300).prefault('5').register(about, {
    description:
      'How many seconds a server may show no sign of life before other servers end its replies and go on with its jobs.',
    allowed: 'a whole number from 1 to 300',
  }),
  GRACE_SECONDS: whole(0, 300).prefault('10').register(about, {
    description: 'How many seconds running replies may take to finish when the server shuts down.',
    allowed: 'a whole number from 0 to 300',
  }),
  DRAIN_SECONDS: whole(0, 300).prefault('2').register(about, {
    description:
      'How many seconds a server keeps accepting work after SIGTERM. Meanwhile `/ready` returns 503 and each response closes its connection, so that load balancers move to other servers.',
    allowed: 'a whole number from 0 to 300',
  }),
  SHUTDOWN_SECONDS: whole(1, 900).optional().register(about, {
    description:
      'How many seconds a shutdown may take in total. Draining and grace are shortened to fit, and what is not finished by then is abandoned. Unset: `DRAIN_SECONDS` plus `GRACE_SECONDS` plus 8.',
    allowed: 'a whole number from 1 to 900',
  }),
  RUNTIME_SILENCE_SECONDS: whole(1, 3600).prefault('120').register(about, {
    description:
      "How many seconds an agent's runtime may take for the next piece of a reply before the reply ends with an error.",
    allowed: 'a whole number from 1 to 3600',
  }),
  HISTORY_BYTES: whole(1024, 16_777_216).prefault('262144').register(about, {
    description:
      'How many bytes of the conversation a reply is generated from. The newest messages are kept; the oldest of them may be cut at its end, with a mark. Older messages are left out.',
    allowed: 'a whole number from 1024 to 16777216',
  }),
  MAX_END_USER_MESSAGE_BYTES: whole(1, 1_048_576).prefault('65536').register(about, {
    description:
      'The largest message that may be sent with a client token, in bytes, including everything sent along with its content.',
    allowed: 'a whole number from 1 to 1048576',
  }),
  RUNTIME_MODULES: z.string().transform(toList).prefault('').register(about, {
    description:
      'Modules with additional runtimes, separated by commas: paths, which begin with `.` or `/`, or package names. Unset: none.',
    allowed: 'paths and package names, separated by commas',
  }),
  PARLEY_MODEL_URL: z.string().superRefine(checkWebUrl).optional().register(about, {
    description:
      'The base URL of an OpenAI-compatible server for the `model` runtime, such as `http://127.0.0.1:11434/v1` for Ollama. Unset: this provider is off.',
    allowed: 'http://… or https://…',
    secret: true,
  }),
  PARLEY_MODEL_API_KEY: apiKey().register(about, {
    description: 'The API key for `PARLEY_MODEL_URL`. Unset: no key is sent.',
    allowed: printable,
    secret: true,
  }),
  PARLEY_MODEL: z.string().max(200).optional().register(about, {
    description: 'The model for agents whose runtime parameters name none.',
    allowed: "the provider's name of a model, up to 200 characters",
  }),
  ANTHROPIC_API_KEY: apiKey().register(about, {
    description: 'The API key for Anthropic. Unset: this provider is off.',
    allowed: printable,
    secret: true,
  }),
  GOOGLE_GENERATIVE_AI_API_KEY: apiKey().register(about, {
    description: 'The API key for Google. Unset: this provider is off.',
    allowed: printable,
    secret: true,
  }),
  ALLOW_PRIVATE_ADDRESSES: z
    .enum(['true', 'false'])
    .prefault('false')
    .transform((value) => value === 'true')
    .register(about, {
      description:
        "Whether agents' tools, webhooks and attachments from elsewhere may call addresses that are not public, such as this machine, its private network and a cloud's metadata service. Webhooks may then use http: as well.",
      allowed: 'true or false',
    }),
  DATABASE_POOL_SIZE: whole(1, 100)
    .prefault('10')
    .register(about, {
      description:
        'The most database connections that one server opens for client requests. It opens up to twenty more for running ' +
        'replies, jobs, the lease and the events.',
      allowed: 'a whole number from 1 to 100',
    }),
  KEEP_ALIVE_SECONDS: whole(1, 300).prefault('12').register(about, {
    description:
      'Seconds between pings on an open WebSocket. A peer that has not answered by the next ping is disconnected.',
    allowed: 'a whole number from 1 to 300',
  }),
  MAX_CONNECTIONS_PER_VIEWER: whole(1, 1_000_000)
    .prefault('1000')
    .register(about, {
      description:
        'The most WebSockets and streams that one credential may keep open on one server. The anonymous visitors from one network ' +
        'address together may keep ten times as many.',
      allowed: 'a whole number from 1 to 1000000',
    }),
  MAX_SUBSCRIPTIONS_PER_CONNECTION: whole(1, 100_000).prefault('100').register(about, {
    description: 'The most operations that may run on one WebSocket at a time.',
    allowed: 'a whole number from 1 to 100000',
  }),
  MAX_UNAUTHENTICATED_CONNECTIONS: whole(2, 1_000_000).prefault('4000').register(about, {
    description:
      'The most connections to one server that have not sent a valid credential yet. At most half of them may come from one address. Further ones are refused with 503.',
    allowed: 'a whole number from 2 to 1000000',
  }),
  RATE_LIMIT_PER_KEY: whole(0, 1_000_000).prefault('6000').register(about, {
    description:
      'How many operations per minute one API key or operator may send, counted across all servers. Each root field counts. 0 means no limit.',
    allowed: 'a whole number from 0 to 1000000',
  }),
  RATE_LIMIT_PER_CONTACT: whole(0, 1_000_000)
    .prefault('120')
    .register(about, {
      description:
        'How many operations per minute one person may send with client tokens, counted across all servers. Each root field ' +
        'counts. The anonymous visitors of web chats from one network address (of IPv6: from one /64) together may send ten ' +
        'times as many. 0 means no limit.',
      allowed: 'a whole number from 0 to 1000000',
    }),
  MAX_RUNNING_REPLIES_PER_CONTACT: whole(0, 1_000_000).prefault('5').register(about, {
    description:
      'The most replies that one person with client tokens may have running at the same time. 0 means no limit.',
    allowed: 'a whole number from 0 to 1000000',
  }),
  REPLY_LIMIT_PER_CONTACT: whole(0, 1_000_000)
    .prefault('30')
    .register(about, {
      description:
        'How many replies per minute one person may start with client tokens, counted across all servers. The anonymous visitors ' +
        'from one network address together may start ten times as many. 0 means no limit.',
      allowed: 'a whole number from 0 to 1000000',
    }),
  MODEL_TOKEN_LIMIT_PER_CONTACT: whole(0, 100_000_000)
    .prefault('500000')
    .register(about, {
      description:
        'How many tokens per minute models may read and write in replies to one person. Beyond that, client tokens cannot start replies. ' +
        'For the anonymous visitors from one network address together it is ten times as many. 0 means no limit.',
      allowed: 'a whole number from 0 to 100000000',
    }),
  VISIT_LIMIT_PER_ADDRESS: whole(0, 1_000_000)
    .prefault('60')
    .register(about, {
      description:
        'How many visits per minute may start from one network address (of IPv6: from one /64), counted across all servers, and how ' +
        'many requests to sign in with a provider may come from it, of which each sign-in takes two. 0 means no limit.',
      allowed: 'a whole number from 0 to 1000000',
    }),
  VISIT_LIMIT_PER_INBOX: whole(0, 1_000_000).prefault('600').register(about, {
    description: 'How many visits per minute of one web chat may start, counted across all servers. 0 means no limit.',
    allowed: 'a whole number from 0 to 1000000',
  }),
  TRUSTED_PROXIES: whole(0, 10)
    .prefault('0')
    .register(about, {
      description:
        'How many proxies stand before this server that add the address of their peer to `X-Forwarded-For`. 0: the header is ' +
        'not believed, and all that comes through a proxy comes from its address.',
      allowed: 'a whole number from 0 to 10',
    }),
  INTROSPECTION: z.enum(['on', 'off']).prefault('on').register(about, {
    description: 'Whether introspection and GraphiQL are available. Unset with `NODE_ENV=production`: `off`.',
    allowed: 'on or off',
  }),
  PERSISTED_OPERATIONS: z.string().optional().register(about, {
    description:
      'A file with operations that clients may name by an id in place of sending their text: a JSON object of ids and documents, as Relay writes it, or an Apollo persisted-query manifest. Unset: none.',
    allowed: 'a path',
  }),
  PERSISTED_OPERATIONS_ONLY: z
    .enum(['true', 'false'])
    .prefault('false')
    .transform((value) => value === 'true')
    .register(about, {
      description:
        'Whether all operations but those of `PERSISTED_OPERATIONS` are refused. GraphiQL then runs none of its own.',
      allowed: 'true or false',
    }),
  PUBLIC_URL: z.string().transform(toOrigin).optional().register(about, {
    description:
      'Where browsers reach the server; addresses of downloads begin with it. Sessions of operators count only in pages of exactly this origin. Unset: `http://`, `HOST` and `PORT`.',
    allowed: 'an origin, such as https://parley.example.com, without a path',
  }),
  OIDC_ISSUER: z
    .string()
    .superRefine(checkIssuer)
    .optional()
    .register(about, {
      description:
        'The OpenID provider that operators sign in with, at `/sign-in/oidc` under `PUBLIC_URL`. Register ' +
        '`/sign-in/oidc/callback` there as redirect URI. Needs the three settings below. Unset: nobody signs in.',
      allowed: 'the https:// URL of an issuer, or an http:// URL of this machine',
    }),
  OIDC_CLIENT_ID: z.string().max(1000).optional().register(about, {
    description: 'What the provider calls this server.',
    allowed: 'up to 1000 characters, together with OIDC_ISSUER',
  }),
  OIDC_CLIENT_SECRET: z.string().max(10_000).optional().register(about, {
    description: 'The secret by which the provider knows this server.',
    allowed: 'up to 10000 characters, together with OIDC_ISSUER',
    secret: true,
  }),
  OIDC_ALLOWED_DOMAINS: z.string().transform(toDomains).optional().register(about, {
    description: 'The domains of the email addresses with which people may sign in.',
    allowed: 'domains separated by commas, such as example.com, together with OIDC_ISSUER',
  }),
  SMTP_URL: z
    .string()
    .superRefine(checkSmtpUrl)
    .optional()
    .register(about, {
      description:
        'The mail server that letters are handed to: `smtp://` with STARTTLS where it is offered (`?requireTLS=true` insists), ' +
        '`smtps://` with TLS from the start. Unset: letters wait, and fail after about four days.',
      allowed: 'smtp://user:password@host:port or smtps://…, with special characters percent-encoded',
      secret: true,
    }),
  LETTER_LIMIT_PER_INBOX: whole(0, 1_000_000).prefault('300').register(about, {
    description:
      'How many letters per minute one email inbox takes, counted across all servers. Those beyond are refused with 429, and providers send them again. 0 means no limit.',
    allowed: 'a whole number from 0 to 1000000',
  }),
  LOG_LEVEL: z
    .enum(logLevels)
    .prefault('info')
    .register(about, {
      description: 'The lowest level of log lines written to stderr.',
      allowed: logLevels.join(', '),
    }),
  ALLOWED_ORIGINS: z.string().transform(toOrigins).prefault('').register(about, {
    description: 'Origins of other web pages that may use the API from a browser. Unset: none.',
    allowed: 'origins separated by commas, such as https://app.example.com, without a path',
  }),
});

export interface Setting {
  /** The environment variable. */
  name: string;
  description: string;
  allowed: string;
  /** As written in the environment. Null if leaving it unset has a meaning of its own. */
  default: string | null;
}

/** All settings, in the order in which they are documented. */
export const settings: readonly Setting[] = Object.entries(environment.shape).map(([name, schema]) => {
  const { description = '', allowed = '' } = about.get(schema) ?? {};
  return { name, description, allowed, default: String(schema.parse(undefined) ?? '') || null };
});
