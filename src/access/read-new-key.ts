import { ValueReader } from '../value-reader.ts';
import type { KeyScope, Scope } from './viewer.ts';

/** Checks the input for a key. A key cannot allow more, or live longer, than the creator's. Throws `InvalidInputError`. */
export function readNewKey(
  input: { name: string; scopes?: readonly KeyScope[] | null | undefined; expiresAt?: Date | null | undefined },
  own: { scopes: readonly Scope[]; expiresAt: Date | null },
): { name: string; scopes: KeyScope[]; expiresAt: Date | null } {
  const reader = new ValueReader();
  const name = reader.text(['name'], input.name) ?? '';
  if (name.trim() === '') reader.refuse(['name'], 'Must not be empty.', 'REQUIRED');
  const scopes = [...new Set<KeyScope>(input.scopes ?? ['read', 'write'])];
  if (scopes.length === 0) reader.refuse(['scopes'], 'Must name at least one.', 'REQUIRED');
  for (const [index, scope] of scopes.entries()) {
    if (!own.scopes.includes(scope))
      reader.refuse(['scopes', String(index)], 'Is more than your own credential allows.');
  }
  if (input.expiresAt && input.expiresAt <= new Date())
    reader.refuse(['expiresAt'], 'Lies in the past.', 'OUT_OF_RANGE');
  if (own.expiresAt && (!input.expiresAt || input.expiresAt > own.expiresAt)) {
    reader.refuse(
      ['expiresAt'],
      `Must be no later than your own credential's end, ${own.expiresAt.toISOString()}.`,
      'OUT_OF_RANGE',
    );
  }
  reader.finish();
  return { name, scopes, expiresAt: input.expiresAt ?? null };
}
