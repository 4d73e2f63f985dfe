import { testReadersOfHistories, useReaders } from '../harness/readers.ts';

useReaders();
testReadersOfHistories(300);
