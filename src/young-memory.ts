import { setFlagsFromString } from 'node:v8';

/**
 * From now on V8 makes every object young. By default it makes those of some places in the code old at once, when enough of those made
 * there before have lived for long, as during a start. Then each result of the database would be old, and keep what was read into it
 * until the next full collection, though nothing needs it after its request.
 */
export function makeObjectsYoung(): void {
  setFlagsFromString('--no-allocation-site-pretenuring');
}
