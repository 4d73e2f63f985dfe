import { DEFAULT_VISIBILITY } from '../../access/visible-calls.ts';
import { builder } from '../../graphql/builder.ts';
import { CallVisibilityRef } from '../../graphql/call-visibility.ts';
import type { HttpTool } from '../http-tool.ts';

export const HttpToolRef = builder.objectRef<HttpTool>('HttpTool').implement({
  description: "An HTTP endpoint of the operator's that the agent may call while it answers.",
  fields: (t) => ({
    name: t.exposeString('name', { description: 'As `FunctionCallFragment.name` shows it.' }),
    description: t.exposeString('description', { description: 'Tells the model when to call it.' }),
    url: t.expose('url', { type: 'URL', description: 'Called with POST and the arguments as a JSON object.' }),
    headerNames: t.stringList({
      description: 'Which headers are sent with each call. Their values are secrets and are never shown.',
      resolve: ({ headers }) => Object.keys(headers).sort(),
    }),
    parametersSchema: t.field({
      type: 'JSONObject',
      description: 'The JSON Schema (draft 2020-12) that the arguments match.',
      resolve: ({ parametersSchema }) => parametersSchema,
    }),
    timeoutSeconds: t.exposeFloat('timeoutSeconds', { description: 'How long a call may take.' }),
    visibility: t.field({
      type: CallVisibilityRef,
      description: 'What end users see of its calls.',
      resolve: ({ visibility }) => visibility ?? DEFAULT_VISIBILITY,
    }),
  }),
});

export const HttpToolInput = builder.inputType('HttpToolInput', {
  description: "An HTTP endpoint of the operator's that the agent may call while it answers.",
  fields: (t) => ({
    name: t.string({
      required: true,
      description:
        'A letter followed by up to 63 letters, digits and underscores; another one for each tool of the agent.',
    }),
    description: t.string({
      required: true,
      description: 'Tells the model when to call it. At most 2000 characters.',
    }),
    url: t.field({
      type: 'URL',
      required: true,
      description: 'Called with POST and the arguments as a JSON object. At most 2000 characters.',
    }),
    headers: t.field({
      type: 'JSONObject',
      description:
        'Sent with each call, for instance `{"Authorization": "Bearer …"}`; each value is a text of at most 4000 characters. ' +
        'Never shown again. Left out: those of the tool of the agent that has had this name, if its URL led to the same ' +
        'server. Null: none.',
    }),
    parametersSchema: t.field({
      type: 'JSONObject',
      description:
        'The JSON Schema (draft 2020-12) that the arguments must match, of the type `object`. It refers to itself alone, and its patterns are those of RE2. Left out: any arguments.',
    }),
    timeoutSeconds: t.float({
      required: true,
      defaultValue: 10,
      description: 'How long a call may take, 0.1 to 60.',
    }),
    visibility: t.field({
      type: CallVisibilityRef,
      required: true,
      defaultValue: DEFAULT_VISIBILITY,
      description: 'What end users see of its calls.',
    }),
  }),
});
