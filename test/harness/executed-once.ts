import { test } from 'vitest';

/** A test that counts what an execution does. Skipped where each operation is executed several times, to compare. */
export const executedOnce = test.skipIf(process.env.COMPARED === 'true');
