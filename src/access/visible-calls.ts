import type { FragmentKind } from '../generated/prisma/enums.ts';
import type { Json, JsonObject } from '../json.ts';
import type { Audience } from './visibility.ts';

/** What end users see of a function call and its response: nothing, only the name, or everything. */
export const callVisibilities = ['HIDDEN', 'NAME', 'FULL'] as const;

export type CallVisibility = (typeof callVisibilities)[number];

/** The default for an operator's tools and calls. Calls of the built-in tools are hidden. */
export const DEFAULT_VISIBILITY: CallVisibility = 'NAME';

const calls: readonly FragmentKind[] = ['FUNCTION_CALL', 'FUNCTION_RESPONSE'];

/** The fields of a fragment that decide who sees it, or that can be hidden. */
interface Visible {
  kind: FragmentKind;
  visibility: CallVisibility;
  args: Json;
  response: Json;
  metadata: JsonObject;
}

/** A fragment as an audience sees it. Null if hidden. An unknown kind is hidden from end users. */
export function fragmentFor<T extends Visible>(audience: Audience, fragment: T): T | null {
  if (audience === 'OPERATORS' || fragment.kind === 'TEXT') return fragment;
  if (!calls.includes(fragment.kind)) return null;
  if (fragment.visibility === 'FULL') return fragment;
  return fragment.visibility === 'NAME' ? { ...fragment, args: null, response: null, metadata: {} } : null;
}

/** The fragments of a message as an audience sees them. Their indexes do not change. */
export function fragmentsFor<T extends Visible>(audience: Audience, fragments: readonly T[]): readonly T[] {
  if (audience === 'OPERATORS' || fragments.every(({ kind }) => kind === 'TEXT')) return fragments;
  return fragments.flatMap((fragment) => fragmentFor(audience, fragment) ?? []);
}
