import { FragmentStatus } from '../../generated/prisma/enums.ts';
import { builder } from '../../graphql/builder.ts';
import { CallVisibilityRef } from '../../graphql/call-visibility.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import { encodeFragmentId } from '../../ids.ts';
import { isJsonObject } from '../../json.ts';
import type { FragmentRow } from '../log/read.ts';

const FragmentStatusRef = builder.enumType('FragmentStatus', {
  description: 'Whether content is still arriving.',
  values: {
    [FragmentStatus.IN_PROGRESS]: { description: 'More may come, unless its message has ended.' },
    [FragmentStatus.DONE]: { description: 'Complete.' },
  } as const,
});

export const FragmentRef = builder.interfaceRef<FragmentRow>('Fragment').implement({
  description: 'A typed part of a message. More kinds may come.',
  resolveType: ({ kind }) => typeNames[kind],
  fields: (t) => ({
    id: t.id({
      description: 'Unique across messages.',
      resolve: ({ messageId, index }) => encodeFragmentId(messageId, index),
    }),
    index: t.exposeInt('index', {
      description:
        'Order within the message, from 0. A client token may see numbers skipped: calls that are hidden from it.',
    }),
    status: t.expose('status', {
      type: FragmentStatusRef,
      description: 'Stays `IN_PROGRESS` for good when its message ended inside it.',
    }),
    metadata: t.field({
      type: 'JSONObject',
      description:
        'Shown to end users, but for that of a call of which they see the name alone. In that of an agent’s text, `citations` says what it rests on.',
      resolve: ({ metadata }) => metadata,
    }),
  }),
});

const typeNames = {
  TEXT: 'TextFragment',
  FUNCTION_CALL: 'FunctionCallFragment',
  FUNCTION_RESPONSE: 'FunctionResponseFragment',
} as const;

export const TextFragmentRef = builder.objectRef<FragmentRow>('TextFragment').implement({
  description: 'Text, in Markdown when the agent writes it.',
  interfaces: [FragmentRef],
  fields: (t) => ({ text: t.exposeString('text', { description: 'The text so far.' }) }),
});

builder.objectRef<FragmentRow>('FunctionCallFragment').implement({
  description: 'The agent asks for a function. A client token is shown it as the `visibility` of the tool says.',
  interfaces: [FragmentRef],
  fields: (t) => ({
    visibility: t.field({
      type: CallVisibilityRef,
      ...operatorsOnly('What end users see of it.'),
      resolve: ({ visibility }) => visibility,
    }),
    name: t.string({ description: "The function's name.", resolve: ({ name }) => name ?? '' }),
    args: t.field({
      type: 'JSONObject',
      nullable: true,
      description: 'Null until complete, and for a client token that is shown the name alone.',
      resolve: ({ args }) => (isJsonObject(args) ? args : null),
    }),
  }),
});

builder.objectRef<FragmentRow>('FunctionResponseFragment').implement({
  description: 'What the function gave. A client token is shown it as the `visibility` of the tool says.',
  interfaces: [FragmentRef],
  fields: (t) => ({
    visibility: t.field({
      type: CallVisibilityRef,
      ...operatorsOnly('What end users see of it.'),
      resolve: ({ visibility }) => visibility,
    }),
    name: t.string({ description: "The function's name.", resolve: ({ name }) => name ?? '' }),
    callId: t.id({
      nullable: true,
      description: 'The call it answers.',
      resolve: ({ messageId, callIndex }) => (callIndex === null ? null : encodeFragmentId(messageId, callIndex)),
    }),
    response: t.field({
      type: 'JSON',
      nullable: true,
      description: 'Null until complete, and for a client token that is shown the name alone.',
      resolve: ({ response }) => response,
    }),
    failed: t.exposeBoolean('failed', { description: 'Whether the function failed; `response` then says how.' }),
  }),
});
