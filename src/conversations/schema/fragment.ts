import { FragmentStatus } from '../../generated/prisma/enums.ts';
import { builder } from '../../graphql/builder.ts';
import { CallVisibilityRef } from '../../graphql/call-visibility.ts';
import { operatorsOnly } from '../../graphql/operators-only.ts';
import { plainly, typePlainly } from '../../graphql/plain-fields.ts';
import { encodeFragmentId } from '../../ids.ts';
import { isJsonObject } from '../../json.ts';
import type { FragmentRow } from '../log/read.ts';

const FragmentStatusRef = builder.enumType('FragmentStatus', {
  description: 'Whether more content may arrive.',
  values: {
    [FragmentStatus.IN_PROGRESS]: { description: 'More content may arrive, unless the message has ended.' },
    [FragmentStatus.DONE]: { description: 'Complete.' },
  } as const,
});

export const FragmentRef = builder.interfaceRef<FragmentRow>('Fragment').implement({
  description: 'A typed part of a message. More kinds may come.',
  resolveType: typePlainly(({ kind }) => typeNames[kind]),
  fields: (t) => ({
    id: t.id({
      description: 'Unique across messages.',
      resolve: plainly(({ messageId, index }) => encodeFragmentId(messageId, index)),
    }),
    index: t.exposeInt('index', {
      description: 'Order within the message, from 0. A client token may see gaps: calls that are hidden from it.',
    }),
    status: t.expose('status', {
      type: FragmentStatusRef,
      description: 'Stays `IN_PROGRESS` for good if the message ended before the fragment was complete.',
    }),
    metadata: t.field({
      type: 'JSONObject',
      description:
        'Shown to end users, except for calls of which they see only the name. For text of an agent, `citations` names its sources.',
      resolve: plainly(({ metadata }) => metadata),
    }),
  }),
});

const typeNames = {
  TEXT: 'TextFragment',
  FUNCTION_CALL: 'FunctionCallFragment',
  FUNCTION_RESPONSE: 'FunctionResponseFragment',
} as const;

export const TextFragmentRef = builder.objectRef<FragmentRow>('TextFragment').implement({
  description: 'Text. An agent writes Markdown.',
  interfaces: [FragmentRef],
  fields: (t) => ({ text: t.exposeString('text', { description: 'The text so far.' }) }),
});

builder.objectRef<FragmentRow>('FunctionCallFragment').implement({
  description:
    'A call of a function by the agent. What a client token sees of it depends on the `visibility` of the tool.',
  interfaces: [FragmentRef],
  fields: (t) => ({
    visibility: t.field({
      type: CallVisibilityRef,
      ...operatorsOnly('What end users see of the call.'),
      resolve: plainly(({ visibility }) => visibility),
    }),
    name: t.string({ description: "The function's name.", resolve: plainly(({ name }) => name ?? '') }),
    args: t.field({
      type: 'JSONObject',
      nullable: true,
      description: 'Null until complete, and for a client token that sees only the name.',
      resolve: plainly(({ args }) => (isJsonObject(args) ? args : null)),
    }),
  }),
});

builder.objectRef<FragmentRow>('FunctionResponseFragment').implement({
  description: 'The response of a function. What a client token sees of it depends on the `visibility` of the tool.',
  interfaces: [FragmentRef],
  fields: (t) => ({
    visibility: t.field({
      type: CallVisibilityRef,
      ...operatorsOnly('What end users see of the call.'),
      resolve: plainly(({ visibility }) => visibility),
    }),
    name: t.string({ description: "The function's name.", resolve: plainly(({ name }) => name ?? '') }),
    callId: t.id({
      nullable: true,
      description: 'ID of the fragment with the call.',
      resolve: plainly(({ messageId, callIndex }) =>
        callIndex === null ? null : encodeFragmentId(messageId, callIndex),
      ),
    }),
    response: t.field({
      type: 'JSON',
      nullable: true,
      description: 'Null until complete, and for a client token that sees only the name.',
      resolve: plainly(({ response }) => response),
    }),
    failed: t.exposeBoolean('failed', { description: 'Whether the function failed. If so, `response` says how.' }),
  }),
});
