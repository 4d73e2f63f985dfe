import { builder } from './builder.ts';

/** What end users see of function calls, for the tools of agents and for the calls in messages. */
export const CallVisibilityRef = builder.enumType('CallVisibility', {
  description: 'What end users see of a function call and of its response. Operators see all.',
  values: {
    HIDDEN: { description: 'Nothing: neither fragment is shown.' },
    NAME: { description: 'That it was made and whether it failed. Arguments, response and metadata are hidden.' },
    FULL: { description: 'All of it.' },
  } as const,
});
