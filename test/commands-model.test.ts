import { testInterleavedWriters } from './harness/commands-model.ts';

testInterleavedWriters(10);
