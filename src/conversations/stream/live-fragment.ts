import type { FragmentRow } from '../log/read.ts';
import { GrowingText } from './growing-text.ts';

/** A fragment whose text readers read while it grows. */
export interface LiveFragment extends Omit<FragmentRow, 'text'> {
  text: GrowingText;
}

export function live(row: FragmentRow): LiveFragment {
  return { ...row, text: new GrowingText(row.text) };
}
