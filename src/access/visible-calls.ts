import type { FragmentKind } from '../generated/prisma/enums.ts';
import type { Json, JsonObject } from '../json.ts';
import type { Audience } from './visibility.ts';

/** What end users see of a function call and of its response: nothing, that it was made, or all of it. */
export const callVisibilities = ['HIDDEN', 'NAME', 'FULL'] as const;

export type CallVisibility = (typeof callVisibilities)[number];

/** For a tool or a call of an operator's that does not say. What an agent's own tools do is hidden. */
export const DEFAULT_VISIBILITY: CallVisibility = 'NAME';

const calls: readonly FragmentKind[] = ['FUNCTION_CALL', 'FUNCTION_RESPONSE'];

/** What of a fragment decides who sees it, and what can be kept from them. */
interface Visible {
  kind: FragmentKind;
  visibility: CallVisibility;
  args: Json;
  response: Json;
  metadata: JsonObject;
}

/** A fragment as an audience sees it; null when it is hidden. A kind that is not known here is hidden from end users. */
export function fragmentFor<T extends Visible>(audience: Audience, fragment: T): T | null {
  if (audience === 'OPERATORS' || fragment.kind === 'TEXT') return fragment;
  if (!calls.includes(fragment.kind)) return null;
  if (fragment.visibility === 'FULL') return fragment;
  return fragment.visibility === 'NAME' ? { ...fragment, args: null, response: null, metadata: {} } : null;
}

/** The fragments of a message as an audience sees them. Their indexes stay as they are. */
export function fragmentsFor<T extends Visible>(audience: Audience, fragments: readonly T[]): T[] {
  return fragments.flatMap((fragment) => fragmentFor(audience, fragment) ?? []);
}
