import { ValueReader } from '../value-reader.ts';
import { isKeyScope, type Scope } from './viewer.ts';

/** Checks the input for a key. Nobody can make one that allows more, or for longer, than their own. Throws `InvalidInputError`. */
export function readNewKey(
  input: { name: string; scopes?: readonly string[] | null | undefined; expiresAt?: Date | null | undefined },
  own: { scopes: readonly Scope[]; expiresAt: Date | null },
): { name: string; scopes: string[]; expiresAt: Date | null } {
  const reader = new ValueReader();
  const name = reader.text(['name'], input.name) ?? '';
  if (name.trim() === '') reader.refuse(['name'], 'Must not be empty.');
  const scopes = [...new Set(input.scopes ?? ['read', 'write'])];
  if (scopes.length === 0) reader.refuse(['scopes'], 'Must name at least one.');
  for (const [index, scope] of scopes.entries()) {
    if (!isKeyScope(scope)) reader.refuse(['scopes', String(index)], 'Is not a scope.');
    else if (!own.scopes.includes(scope))
      reader.refuse(['scopes', String(index)], 'Is more than your own credential allows.');
  }
  if (input.expiresAt && input.expiresAt <= new Date()) reader.refuse(['expiresAt'], 'Lies in the past.');
  if (own.expiresAt && (!input.expiresAt || input.expiresAt > own.expiresAt)) {
    reader.refuse(['expiresAt'], `Must be no later than your own credential's end, ${own.expiresAt.toISOString()}.`);
  }
  reader.finish();
  return { name, scopes, expiresAt: input.expiresAt ?? null };
}
