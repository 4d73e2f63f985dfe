import { describe, expect, it } from 'vitest';
import { readConfig, SettingsError } from '../src/config.ts';
import { settings } from '../src/settings.ts';

function faults(env: Record<string, string>): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof SettingsError) return error.faults;
    throw error;
  }
  return [];
}

describe('settings', () => {
  it('have defaults that need no environment', () => {
    expect(readConfig({})).toMatchObject({
      port: 4000,
      host: '127.0.0.1',
      databaseUrl: undefined,
      dataDir: '.data',
      eventsUrl: undefined,
      bootstrapApiKey: undefined,
      leaseSeconds: 5,
      graceSeconds: 10,
      databasePoolSize: 10,
      logLevel: 'info',
      allowedOrigins: [],
    });
  });

  it('are read from the environment, where empty means unset and edges are trimmed', () => {
    const config = readConfig({
      PORT: '0',
      HOST: '::1',
      DATABASE_URL: 'postgres://me:p%40ss@db:5432/parley?sslmode=require\n',
      DATA_DIR: '/var/lib/parley',
      EVENTS_URL: 'rediss://:secret@cache:6380/2',
      BOOTSTRAP_API_KEY: 'a-key-of-16-char',
      LEASE_SECONDS: '300',
      GRACE_SECONDS: '0',
      DATABASE_POOL_SIZE: '',
      LOG_LEVEL: ' ',
      ALLOWED_ORIGINS: 'https://App.example.com/, http://localhost:5173',
      UNKNOWN: 'is ignored',
    });
    expect(config).toMatchObject({
      port: 0,
      host: '::1',
      databaseUrl: 'postgres://me:p%40ss@db:5432/parley?sslmode=require',
      dataDir: '/var/lib/parley',
      eventsUrl: 'rediss://:secret@cache:6380/2',
      bootstrapApiKey: 'a-key-of-16-char',
      leaseSeconds: 300,
      graceSeconds: 0,
      databasePoolSize: 10,
      logLevel: 'info',
      allowedOrigins: ['https://app.example.com', 'http://localhost:5173'],
    });
  });

  it('name all faults together, each with what is allowed, and show no secret', () => {
    const env = {
      PORT: '65536',
      DATABASE_URL: 'mysql://root:hunter2@db/parley',
      EVENTS_URL: 'kafka://hunter2@broker',
      BOOTSTRAP_API_KEY: 'hunter2',
      LEASE_SECONDS: '0',
      DATABASE_POOL_SIZE: 'many',
      LOG_LEVEL: 'loud',
      ALLOWED_ORIGINS: 'https://app.example.com/path',
    };
    expect(faults(env)).toEqual([
      'PORT is "65536"; allowed: a whole number from 0 to 65535',
      'DATABASE_URL does not begin with postgres:// or postgresql://; allowed: postgres://user:password@host:port/database, with special characters percent-encoded',
      'EVENTS_URL begins with none of the allowed schemes; allowed: redis://…, rediss://…, nats://…, tls://…, postgres://… or memory:',
      'BOOTSTRAP_API_KEY is too short; allowed: at least 16 printable ASCII characters without spaces',
      'LEASE_SECONDS is "0"; allowed: a whole number from 1 to 300',
      'DATABASE_POOL_SIZE is "many"; allowed: a whole number from 1 to 100',
      'LOG_LEVEL is "loud"; allowed: silent, fatal, error, warn, info, debug, trace',
      'ALLOWED_ORIGINS is "https://app.example.com/path"; allowed: origins separated by commas, such as https://app.example.com, without a path',
    ]);
    expect(() => readConfig(env)).toThrow(/^These settings cannot be used:\n {2}PORT is .*\n {2}DATABASE_URL /);
    expect(() => readConfig(env)).not.toThrow(/hunter2/);
  });

  it.each([
    ['PORT', '-1'],
    ['PORT', '4000.5'],
    ['PORT', '1e3'],
    ['GRACE_SECONDS', '301'],
    ['HOST', 'http://localhost'],
    ['DATABASE_URL', 'postgres://me:p#ss@db/parley'],
    ['EVENTS_URL', 'memory'],
    ['EVENTS_URL', 'redis://cache:port'],
    ['BOOTSTRAP_API_KEY', 'sixteen or more, but spaces'],
    ['ALLOWED_ORIGINS', '*'],
    ['PUBLIC_URL', 'https://parley.example.com/chat'],
    ['OIDC_ISSUER', 'http://accounts.example.com'],
    ['OIDC_ISSUER', 'accounts.example.com'],
    ['OIDC_ALLOWED_DOMAINS', '*'],
    ['OIDC_ALLOWED_DOMAINS', '@example.com'],
    ['ALLOWED_ORIGINS', 'https://a.example, app.example.com'],
  ])('refuse %s=%s', (name, value) => {
    expect(faults({ [name]: value })).toEqual([expect.stringMatching(new RegExp(`^${name} .*; allowed: `))]);
  });

  it.each([
    ['DATABASE_URL', 'postgresql://postgres@/parley?host=/var/run/postgresql'],
    ['DATABASE_URL', 'postgres:///parley'],
    ['EVENTS_URL', 'memory:'],
    ['EVENTS_URL', 'postgres://direct:5432/parley'],
  ])('accept %s=%s', (name, value) => {
    expect(faults({ [name]: value })).toEqual([]);
  });

  it('for signing in are given together, and their secret is not shown', () => {
    const oidc = {
      OIDC_ISSUER: 'https://accounts.example.com',
      OIDC_CLIENT_ID: 'parley',
      OIDC_CLIENT_SECRET: 'hunter2',
      OIDC_ALLOWED_DOMAINS: 'Example.com, example.org',
    };
    expect(readConfig({}).oidc).toBeNull();
    expect(readConfig(oidc).oidc).toMatchObject({ allowedDomains: ['example.com', 'example.org'] });
    for (const left of Object.keys(oidc)) {
      const found = faults({ ...oidc, [left]: undefined });
      expect(found).toEqual([expect.stringMatching(new RegExp(`^${left} is missing; allowed: `))]);
    }
    expect(faults({ OIDC_CLIENT_SECRET: 'hunter2' }).join()).not.toContain('hunter2');
  });

  it('are all described, with the defaults that hold', () => {
    for (const setting of settings) {
      expect(setting.description, setting.name).toMatch(/\.$/);
      expect(setting.allowed, setting.name).not.toBe('');
    }
    const defaults = Object.fromEntries(settings.map(({ name, default: value }) => [name, value ?? '']));
    expect(readConfig(defaults)).toEqual(readConfig({}));
    expect(defaults).toMatchObject({ PORT: '4000', DATA_DIR: '.data', DATABASE_URL: '' });
  });
});
