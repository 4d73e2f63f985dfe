import { randomUUID } from 'node:crypto';
import { fromUUID } from 'typeid-js';
import { expect, test } from 'vitest';
import { decodeAnyId, encodeId, newId } from '../src/ids.ts';

const uuids = [
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  ...Array.from({ length: 500 }, () => randomUUID()),
  ...Array.from({ length: 500 }, newId),
];

test('public ids are TypeIDs, and stand for the ids of rows', () => {
  for (const uuid of uuids) {
    const id = encodeId('Message', uuid);
    expect(id).toBe(fromUUID(uuid, 'msg'));
    expect(decodeAnyId(id)).toEqual({ type: 'Message', uuid });
  }
});
