import { SchemaChecker } from '../../src/json-schema/checker.ts';
import { createLogger } from '../../src/logger.ts';

/** For all tests of this process: its worker keeps no process alive. */
export const schemas = new SchemaChecker(createLogger({ level: 'silent' }));
