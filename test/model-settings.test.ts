import { describe, expect, test } from 'vitest';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parametersSchema } from '../src/agents/model/parameters.ts';
import { readConfig, SettingsError } from '../src/config.ts';

function faults(env: Record<string, string>): readonly string[] {
  try {
    readConfig(env);
  } catch (error) {
    if (error instanceof SettingsError) return error.faults;
    throw error;
  }
  return [];
}

describe('the settings of models and runtimes', () => {
  test('leave every provider off, and tools away from private addresses', () => {
    expect(readConfig({})).toMatchObject({
      runtimeModules: [],
      modelUrl: undefined,
      modelApiKey: undefined,
      model: undefined,
      anthropicApiKey: undefined,
      googleApiKey: undefined,
      allowPrivateAddresses: false,
    });
  });

  test('are read from the environment', () => {
    const config = readConfig({
      RUNTIME_MODULES: './mine.ts, /opt/theirs.js,,@acme/runtime',
      PARLEY_MODEL_URL: 'http://127.0.0.1:11434/v1',
      PARLEY_MODEL_API_KEY: 'sk-1',
      PARLEY_MODEL: 'llama3.2:3b',
      ANTHROPIC_API_KEY: 'sk-2',
      GOOGLE_GENERATIVE_AI_API_KEY: 'sk-3',
      ALLOW_PRIVATE_ADDRESSES: 'true',
    });
    expect(config).toMatchObject({
      runtimeModules: ['./mine.ts', '/opt/theirs.js', '@acme/runtime'],
      modelUrl: 'http://127.0.0.1:11434/v1',
      modelApiKey: 'sk-1',
      model: 'llama3.2:3b',
      anthropicApiKey: 'sk-2',
      googleApiKey: 'sk-3',
      allowPrivateAddresses: true,
    });
  });

  test.each([
    ['PARLEY_MODEL_URL', 'ftp://hunter2'],
    ['PARLEY_MODEL_URL', 'http://me:hunter2@host/v1'],
    ['PARLEY_MODEL_URL', 'http://hunter2:port'],
    ['PARLEY_MODEL_API_KEY', 'hunter2 and more'],
    ['ANTHROPIC_API_KEY', 'hunter2é'],
    ['GOOGLE_GENERATIVE_AI_API_KEY', 'hunter2\u0007'],
    ['ALLOW_PRIVATE_ADDRESSES', 'yes'],
  ])('refuse %s=%s, and show no secret', (name, value) => {
    expect(faults({ [name]: value })).toEqual([expect.stringMatching(new RegExp(`^${name} .*; allowed: `))]);
    expect(faults({ [name]: value }).join()).not.toContain('hunter2');
  });
});

describe('the name of a model', () => {
  const check = new Ajv2020({ strict: false }).compile(parametersSchema);

  test.each(['gpt-4o', 'llama3.2:3b', 'meta-llama/Llama-3.1-8B:free', '@cf/meta/llama', 'hf.co/a/b:Q4_K_M', 'ft:x::1'])(
    'may be %s',
    (model) => expect(check({ model })).toBe(true),
  );

  test.each(['', '../admin', 'models/../../admin', 'a/..', './a', 'a?key=1', 'a#b', 'a%2e%2e', 'a\\b', 'a b', '/a'])(
    'may not be %j, which would lead elsewhere',
    (model) => expect(check({ model })).toBe(false),
  );
});
