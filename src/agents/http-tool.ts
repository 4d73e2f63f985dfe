import { z } from 'zod';
import { isJsonObject, type JsonObject } from '../json.ts';
import { callVisibilities } from '../access/visible-calls.ts';

/** The names of the tools that every agent has. */
export const builtInTools = ['queryKnowledgeBase', 'changePhase', 'requestHandoff'] as const;

/** Headers that each call sets itself. Setting them from outside could produce contradicting values. */
const ownHeaders = [
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

const toolSchema = z.strictObject({
  /** The name by which the model calls the tool. */
  name: z
    .string()
    .regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/, 'Must be a letter followed by up to 63 letters, digits and underscores.')
    .refine((name) => !builtInTools.some((builtIn) => builtIn === name), 'Is the name of a tool that every agent has.'),
  /** Tells the model when to call the tool. */
  description: z.string().max(2000),
  /** Called by POST, with the arguments as a JSON object. */
  url: z.url({ protocol: /^https?$/ }).max(2000),
  /** Sent with each call, for example `Authorization`. Never shown again. */
  headers: z.record(
    z
      .string()
      .regex(/^[A-Za-z0-9-]{1,100}$/)
      .refine((name) => !ownHeaders.includes(name.toLowerCase()), 'Is set by the call itself.'),
    z
      .string()
      .max(4000)
      .regex(/^[\t\x20-\x7e]*$/, 'Must be printable ASCII.'),
  ),
  /** The JSON Schema (draft 2020-12) that the arguments must match. */
  parametersSchema: z.custom<JsonObject>(isJsonObject, 'Must be a JSON object.'),
  /** How long a call may take, in seconds. */
  timeoutSeconds: z.number().min(0.1).max(60),
  /** What end users see of a call. Default: `DEFAULT_VISIBILITY`. */
  visibility: z.enum(callVisibilities).optional(),
});

/** Tools as stored in an agent's row. Names are unique. */
export const toolsSchema = z
  .array(toolSchema)
  .max(50)
  .superRefine((tools, context) => {
    const names = tools.map((tool) => tool.name);
    for (const [index, tool] of tools.entries()) {
      if (names.indexOf(tool.name) < index) {
        context.addIssue({ code: 'custom', path: [index, 'name'], message: 'Is the name of another tool.' });
      }
    }
  });

/** One of the operator's HTTP endpoints, which the agent may call while it answers. */
export type HttpTool = z.infer<typeof toolsSchema>[number];

/** An agent's tools from its row. */
export function readTools(stored: unknown): HttpTool[] {
  return toolsSchema.parse(stored);
}
