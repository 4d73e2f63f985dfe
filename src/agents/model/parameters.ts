import { z } from 'zod';
import type { JsonObject } from '../../json.ts';
import { isJsonObject } from '../../json.ts';
import { providerNames } from './providers.ts';

const parametersSchemaSource = z
  .strictObject({
    provider: z.enum(providerNames).optional().meta({
      title: 'Provider',
      description: 'The provider that runs the model. Unset: the first of these that is configured.',
    }),
    // The name becomes part of a URL and must not lead out of its path.
    model: z
      .string()
      .max(200)
      .regex(/^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[\w@][\w@.:/+-]*$/)
      .optional()
      .meta({
        title: 'Model',
        description: "The provider's name of the model. Unset: the setting `PARLEY_MODEL`.",
      }),
    temperature: z.number().min(0).max(2).optional().meta({
      title: 'Temperature',
      description: 'How freely the model chooses its words. 0 is the least. Unset: the provider decides.',
    }),
    maxOutputTokens: z.int().min(1).max(1_000_000).optional().meta({
      title: 'Most output tokens',
      description:
        'The longest output of one step of a reply, in tokens. A text cut there has `finishReason: "length"` in its metadata. Unset: the provider decides.',
    }),
    contextTokens: z.int().min(1000).max(10_000_000).default(32_768).meta({
      title: 'Context window',
      description:
        "The model's context window, in tokens. The instructions and everything from the user's last message on are always sent. Of the earlier messages the oldest are left out, whole, until the rest fits beside the output; if it does not fit without them either, the user's last message is cut at its end, with a mark. `maxOutputTokens` is kept free for the output, but at most half of the window, or a quarter if it is unset. A token is estimated as three bytes of text.",
    }),
    images: z.boolean().optional().meta({
      title: 'Pictures',
      description:
        'Whether the model is shown the pictures of the last messages: at most 10, of 4 MB each and 8 MB in all. Unset: yes for `anthropic` and `google`, no for `openai-compatible`.',
    }),
    maxSteps: z.int().min(1).max(50).default(8).meta({
      title: 'Most steps',
      description:
        'How many requests to the model one reply may make. Each round of tool calls takes a step. The last step offers no tools, so 1 means an answer without tools.',
    }),
  })
  .meta({
    title: 'Parameters of the model runtime',
    description: 'Parameters of an agent that answers with a language model.',
  });

/** Parameters of the model runtime, with their defaults. */
export type ModelParameters = z.output<typeof parametersSchemaSource>;

/** The JSON Schema of the parameters, defaults included. */
export const parametersSchema: JsonObject = toJsonSchema();

/** Reads parameters that match the schema. */
export function readParameters(parameters: JsonObject): ModelParameters {
  return parametersSchemaSource.parse(parameters);
}

function toJsonSchema(): JsonObject {
  const schema: unknown = z.toJSONSchema(parametersSchemaSource, { io: 'input' });
  if (!isJsonObject(schema)) throw new TypeError('A JSON Schema is an object.');
  return schema;
}
