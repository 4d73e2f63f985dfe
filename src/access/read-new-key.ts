import { ValueReader } from '../value-reader.ts';
import { isKeyScope, type Scope } from './viewer.ts';

/** Checks the input for a key. Nobody can make a key that allows more than their own. Throws `InvalidInputError`. */
export function readNewKey(
  input: { name: string; scopes?: readonly string[] | null | undefined; expiresAt?: Date | null | undefined },
  own: readonly Scope[],
): { name: string; scopes: string[]; expiresAt: Date | null } {
  const reader = new ValueReader();
  const name = reader.text(['name'], input.name) ?? '';
  if (name.trim() === '') reader.refuse(['name'], 'Must not be empty.');
  const scopes = [...new Set(input.scopes ?? ['read', 'write'])];
  if (scopes.length === 0) reader.refuse(['scopes'], 'Must name at least one.');
  for (const [index, scope] of scopes.entries()) {
    if (!isKeyScope(scope)) reader.refuse(['scopes', String(index)], 'Is not a scope.');
    else if (!own.includes(scope)) reader.refuse(['scopes', String(index)], 'Is more than your own credential allows.');
  }
  if (input.expiresAt && input.expiresAt <= new Date()) reader.refuse(['expiresAt'], 'Lies in the past.');
  reader.finish();
  return { name, scopes, expiresAt: input.expiresAt ?? null };
}
