import { InvalidInputError } from '../errors.ts';
import { Rating } from '../generated/prisma/enums.ts';
import { decodeId } from '../ids.ts';
import type { JsonObject } from '../json.ts';
import { ValueReader } from '../value-reader.ts';

/** The longest range of dates, in days. */
const MAX_DAYS = 366;
const DAY_MS = 86_400_000;

export interface RecordFilterInput {
  startDate: string;
  endDate: string;
  agentId?: string | null | undefined;
  inboxId?: string | null | undefined;
  userMessage?: string | null | undefined;
  botMessage?: string | null | undefined;
  rating?: Rating | null | undefined;
}

/** What is searched for. Dates are days in the organization's time zone, both included. */
export interface RecordFilter {
  startDate: string;
  endDate: string;
  agentId: string | null;
  inboxId: string | null;
  userMessage: string | null;
  botMessage: string | null;
  rating: Rating | null;
}

/** Checks a filter. Throws `InvalidInputError` for dates in the wrong order and for a range over a year. */
export function readRecordFilter(input: RecordFilterInput, path: string[] = ['filter']): RecordFilter {
  const reader = new ValueReader();
  const days = (Date.parse(input.endDate) - Date.parse(input.startDate)) / DAY_MS;
  if (days < 0) reader.refuse([...path, 'endDate'], 'Is before `startDate`.', 'OUT_OF_RANGE');
  if (days >= MAX_DAYS) {
    reader.refuse([...path, 'endDate'], `The range has more than ${MAX_DAYS} days.`, 'OUT_OF_RANGE');
  }
  const id = (type: 'Agent' | 'Inbox', name: 'agentId' | 'inboxId') => {
    const value = input[name];
    if (value == null) return null;
    const uuid = decodeId(type, value);
    if (!uuid) reader.refuse([...path, name], 'Names nothing.', 'NOT_FOUND');
    return uuid;
  };
  const filter = {
    startDate: input.startDate,
    endDate: input.endDate,
    agentId: id('Agent', 'agentId'),
    inboxId: id('Inbox', 'inboxId'),
    userMessage: reader.text([...path, 'userMessage'], input.userMessage, 200) || null,
    botMessage: reader.text([...path, 'botMessage'], input.botMessage, 200) || null,
    rating: input.rating ?? null,
  };
  reader.finish();
  return filter;
}

/** A filter as it was stored. */
export function storedFilter(stored: JsonObject): RecordFilter {
  const text = (name: keyof RecordFilter) => {
    const value = stored[name];
    return typeof value === 'string' ? value : null;
  };
  const [startDate, endDate] = [text('startDate'), text('endDate')];
  if (!startDate || !endDate) throw new InvalidInputError([{ path: ['filter'], detail: 'Has no dates.' }]);
  return {
    startDate,
    endDate,
    agentId: text('agentId'),
    inboxId: text('inboxId'),
    userMessage: text('userMessage'),
    botMessage: text('botMessage'),
    rating: Object.values(Rating).find((rating) => rating === stored.rating) ?? null,
  };
}
