// What a worker runs first where the program runs from its sources: the loaders of the main thread do not reach into it.
import { workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

register();
await import(workerData.module);
