import { builder } from './builder.ts';

export const DateTimeRange = builder.inputType('DateTimeRange', {
  description: 'A range of time from `from` (included) to `to` (not included). A bound left out does not limit.',
  fields: (t) => ({
    from: t.field({ type: 'DateTime', description: 'Start of the range, included.' }),
    to: t.field({ type: 'DateTime', description: 'End of the range, not included.' }),
  }),
});
