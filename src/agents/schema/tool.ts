import { DEFAULT_VISIBILITY } from '../../access/visible-calls.ts';
import { builder } from '../../graphql/builder.ts';
import { CallVisibilityRef } from '../../graphql/call-visibility.ts';
import type { HttpTool } from '../http-tool.ts';

export const HttpToolRef = builder.objectRef<HttpTool>('HttpTool').implement({
  description: "One of the operator's HTTP endpoints, which the agent may call while it answers.",
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Name of the tool, used in `FunctionCallFragment.name`.' }),
    description: t.exposeString('description', { description: 'Tells the model when to call the tool.' }),
    url: t.expose('url', { type: 'URL', description: 'Called by POST, with the arguments as a JSON object.' }),
    headerNames: t.stringList({
      description: 'Names of the headers sent with each call. Their values are secret and never shown.',
      resolve: ({ headers }) => Object.keys(headers).sort(),
    }),
    parametersSchema: t.field({
      type: 'JSONObject',
      description: 'The JSON Schema (draft 2020-12) that the arguments match.',
      resolve: ({ parametersSchema }) => parametersSchema,
    }),
    timeoutSeconds: t.exposeFloat('timeoutSeconds', { description: 'How long a call may take, in seconds.' }),
    visibility: t.field({
      type: CallVisibilityRef,
      description: 'What end users see of calls to this tool.',
      resolve: ({ visibility }) => visibility ?? DEFAULT_VISIBILITY,
    }),
  }),
});

export const HttpToolInput = builder.inputType('HttpToolInput', {
  description: "One of the operator's HTTP endpoints, which the agent may call while it answers.",
  fields: (t) => ({
    name: t.string({
      required: true,
      description: 'A letter followed by up to 63 letters, digits and underscores. Unique within the agent.',
    }),
    description: t.string({
      required: true,
      description: 'Tells the model when to call the tool. At most 2000 characters.',
    }),
    url: t.field({
      type: 'URL',
      required: true,
      description: 'Called by POST, with the arguments as a JSON object. At most 2000 characters.',
    }),
    headers: t.field({
      type: 'JSONObject',
      description:
        'Sent with each call, for example `{"Authorization": "Bearer …"}`. Each value is a string of at most 4000 characters. ' +
        "Never shown again. Left out: the headers of the agent's previous tool of this name stay, if its URL led to the same " +
        'server. Null: no headers.',
    }),
    parametersSchema: t.field({
      type: 'JSONObject',
      description:
        'The JSON Schema (draft 2020-12) that the arguments must match, of type `object`. It may refer only to itself, and its patterns use RE2 syntax. Left out: any arguments.',
    }),
    timeoutSeconds: t.float({
      required: true,
      defaultValue: 10,
      description: 'How long a call may take: 0.1 to 60 seconds.',
    }),
    visibility: t.field({
      type: CallVisibilityRef,
      required: true,
      defaultValue: DEFAULT_VISIBILITY,
      description: 'What end users see of calls to this tool.',
    }),
  }),
});
