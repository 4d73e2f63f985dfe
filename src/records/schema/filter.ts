import { RatingRef } from '../../conversations/schema/feedback.ts';
import { builder } from '../../graphql/builder.ts';
import { badUserInput } from '../../graphql/errors.ts';

builder.scalarType('LocalDate', {
  description: "A day, `YYYY-MM-DD`, in the organization's time zone.",
  serialize: (value) => value,
  parseValue: (value) => {
    const isDay =
      typeof value === 'string' &&
      /^\d{4}-\d{2}-\d{2}$/.test(value) &&
      !Number.isNaN(Date.parse(value)) &&
      new Date(value).toISOString().startsWith(value);
    if (isDay && value >= '1970-01-01') return value;
    throw badUserInput('A LocalDate is a day from 1970 on, such as 2026-01-31.');
  },
});

export const RecordFilterRef = builder.inputType('RecordFilter', {
  description: 'A record must match all fields that are given.',
  fields: (t) => ({
    startDate: t.field({ type: 'LocalDate', required: true, description: 'The first day on which it was asked.' }),
    endDate: t.field({
      type: 'LocalDate',
      required: true,
      description: 'The last day, itself included. The range has at most 366 days.',
    }),
    agentId: t.id({ description: 'The agent of its conversation, `agent_…`.' }),
    inboxId: t.id({ description: 'The inbox of its conversation, `inbox_…`.' }),
    userMessage: t.string({ description: 'A text within the question, in upper or lower case. At most 200 bytes.' }),
    botMessage: t.string({ description: 'A text within the answer, in upper or lower case. At most 200 bytes.' }),
    rating: t.field({ type: RatingRef, description: 'How the answer was rated last.' }),
  }),
});
