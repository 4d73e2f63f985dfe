import { isDeepStrictEqual } from 'node:util';
import { type InputReader } from './input.ts';

/** The most labels of one conversation. */
const MAX_LABELS = 50;

/** The longest label, in bytes. */
const MAX_LABEL = 100;

/** The value of a `LabelsInput`. */
export interface LabelsInput {
  add?: readonly string[] | null | undefined;
  remove?: readonly string[] | null | undefined;
}

/** What is to be added and removed. White space around a label does not count. */
export interface LabelsChange {
  add: readonly string[];
  remove: readonly string[];
}

export function readLabels(reader: InputReader, input: LabelsInput): LabelsChange {
  const read = (name: 'add' | 'remove') => {
    const given = input[name] ?? [];
    if (given.length > MAX_LABELS) {
      reader.refuse(['labels', name], `Holds ${given.length} labels; at most ${MAX_LABELS} are allowed.`, 'TOO_LONG');
      return [];
    }
    return given.map((label, index) => {
      const path = ['labels', name, String(index)];
      const text = reader.text(path, label.trim(), MAX_LABEL) ?? '';
      if (text === '') reader.refuse(path, 'Must not be empty.', 'REQUIRED');
      return text;
    });
  };
  const change = { add: read('add'), remove: read('remove') };
  const both = change.add.find((label) => change.remove.includes(label));
  if (both !== undefined) reader.refuse(['labels'], `Adds and removes \`${both}\` at once.`);
  return change;
}

/** The labels after a change, sorted. The same list if nothing changes. */
export function withLabels(reader: InputReader, labels: string[], { add, remove }: LabelsChange): string[] {
  const after = [...new Set([...labels, ...add])].filter((label) => !remove.includes(label)).toSorted();
  if (after.length > MAX_LABELS) {
    reader.refuse(
      ['labels'],
      `The conversation would have ${after.length} labels; at most ${MAX_LABELS} are allowed.`,
      'TOO_LONG',
    );
  }
  return isDeepStrictEqual(after, labels) ? labels : after;
}
