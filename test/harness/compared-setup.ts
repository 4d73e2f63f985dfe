import { afterEach } from 'vitest';
import { differences } from './compared-execute.ts';

afterEach(() => {
  const found = differences.splice(0);
  if (found.length > 0) throw new Error(`Executed unlike graphql-js:\n${found.join('\n')}`);
});
