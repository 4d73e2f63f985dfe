import { z } from 'zod';
import type { JsonObject } from '../../json.ts';
import { isJsonObject } from '../../json.ts';
import { providerNames } from './providers.ts';

const parametersSchemaSource = z
  .strictObject({
    provider: z.enum(providerNames).optional().meta({
      title: 'Provider',
      description: 'Who runs the model. Unset: the first of these that the settings configure.',
    }),
    // It becomes a part of an address, whose folders it must not leave.
    model: z
      .string()
      .max(200)
      .regex(/^(?!.*(?:^|\/)\.{1,2}(?:\/|$))[\w@][\w@.:/+-]*$/)
      .optional()
      .meta({
        title: 'Model',
        description: 'The model, by the name that its provider gives it. Unset: the setting `PARLEY_MODEL`.',
      }),
    temperature: z.number().min(0).max(2).optional().meta({
      title: 'Temperature',
      description: 'How freely the model chooses its words; 0 is the least. Unset: the provider decides.',
    }),
    maxOutputTokens: z.int().min(1).max(1_000_000).optional().meta({
      title: 'Most output tokens',
      description:
        'How long one step of a reply may become. A text that was cut there says `finishReason: "length"` in its metadata. Unset: the provider decides.',
    }),
    contextTokens: z.int().min(1000).max(10_000_000).default(32_768).meta({
      title: 'Context window',
      description:
        "The model's window. The instructions and everything from the user's last message on are always sent; of the messages before it the oldest are left out, whole, until all fits beside the output: `maxOutputTokens`, but at most half of the window, or a quarter where that is unset. A token is taken for three bytes of text.",
    }),
    maxSteps: z.int().min(1).max(50).default(8).meta({
      title: 'Most steps',
      description:
        'How often the model may be asked within one reply: every round of tool calls takes a step. It is offered no tools in the last one, so 1 is an answer without tools.',
    }),
  })
  .meta({
    title: 'Parameters of the model runtime',
    description: 'How an agent answers that is a language model.',
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
