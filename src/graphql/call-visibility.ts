import { builder } from './builder.ts';

/** What end users see of function calls, for the tools of agents and for the calls in messages. */
export const CallVisibilityRef = builder.enumType('CallVisibility', {
  description: 'What end users see of a function call and its response. Operators see everything.',
  values: {
    HIDDEN: { description: 'Nothing. Both fragments are hidden.' },
    NAME: { description: 'Only the name, and whether the call failed. Arguments, response and metadata are hidden.' },
    FULL: { description: 'Everything.' },
  } as const,
});
