import { type ExecutionResult, GraphQLError, Kind } from 'graphql';
import { rowsOf, rowsOfAll } from '../conversations/schema/event-rows.ts';
import { inPlace } from '../conversations/schema/events.ts';
import { FairGate } from '../fair-gate.ts';
import { isJsonObject } from '../json.ts';
import type { Logger } from '../logger.ts';
import { type EventData, type PayloadMaker, type PlacedEvent, webhookLimits } from '../webhooks/model.ts';
import { createContext, type Services } from './context.ts';
import { documentReader, parseDocument } from './documents.ts';
import { execute } from './execution/execute.ts';
import { maskError } from './masking.ts';
import { faultsOfOperation } from './operation-limits.ts';
import { schema } from './schema.ts';

/** How many events are read at the same time, so that clients find connections to the database free. */
const AT_ONCE = 4;

/** How many events are read one after the other before others that wait have their turn. */
const IN_TURN = 4;

/** Reads selections on `ConversationEvent` as part of a subscription that shows events, with its limits. */
export function payloadMaker(services: () => Services): PayloadMaker {
  const read = documentReader(true);
  const gate = new FairGate(AT_ONCE);
  return {
    faultsOf(selection) {
      try {
        const outside = faultsOfShape(selection);
        if (outside.length > 0) return outside;
        const text = documentOf(selection);
        const { document, faults } = read(text);
        const all = faults.length > 0 ? faults : faultsOfOperation(schema, { document, params: { query: text } });
        return all.map(({ message }) => message);
      } catch (error) {
        if (error instanceof GraphQLError) return [error.message];
        throw error;
      }
    },

    async read(viewer, selection, events, most) {
      const { document, faults } = read(documentOf(selection));
      const [outdated] = faults;
      if (outdated) {
        return events.map(() => ({ fault: `The selection is not of the schema any more: ${outdated.message}` }));
      }
      const rowsOfEach = await rowsOfAll(services(), 'OPERATORS', events);
      // Looks up what the selection has of other messages together.
      const { loaders } = createContext(services(), viewer);
      const dataOf = async ({ conversationId, event }: PlacedEvent, index: number) => {
        const together = rowsOfEach[index] ?? null;
        const rows = together === 'TOO_LARGE' ? await rowsOf(services(), 'OPERATORS', conversationId, event) : together;
        if (!rows) return null;
        const rootValue = { position: '', event: { ...inPlace(services(), conversationId, event), ...rows } };
        const contextValue = { ...createContext(services(), viewer), loaders };
        return shown(await execute({ schema, document, rootValue, contextValue }), services().logger);
      };
      const data: EventData[] = [];
      let length = 0;
      const readSome = async () => {
        for (const event of events.slice(data.length, data.length + IN_TURN)) {
          if (length > most) return;
          const read = await dataOf(event, data.length);
          if (read && 'json' in read) length += read.json.length;
          data.push(read);
        }
      };
      while (data.length < events.length && length <= most) await gate.run(viewer.organizationId, readSome);
      return data;
    },
  };
}

function shown({ data, errors }: ExecutionResult, logger: Logger): EventData {
  if (errors?.[0]) return { fault: `The event cannot be read: ${maskError(errors[0], logger).message}` };
  const { event } = isJsonObject(data?.organizationEvents) ? data.organizationEvents : { event: null };
  return isJsonObject(event) ? { json: JSON.stringify(event) } : { fault: 'The event cannot be read.' };
}

const FRAGMENT = 'OfEvent';

function documentOf(selection: string): string {
  return `subscription { organizationEvents { event { ...${FRAGMENT} } } } ${fragmentOf(selection)}`;
}

function fragmentOf(selection: string): string {
  return `fragment ${FRAGMENT} on ConversationEvent ${selection}`;
}

/** It must be what it is put in as: fields in braces, and fragments after them. */
function faultsOfShape(selection: string): string[] {
  if (selection.length > webhookLimits.selection) {
    return [`Has ${selection.length} characters; at most ${webhookLimits.selection} are allowed.`];
  }
  if (!/^[\s,\uFEFF]*(#.*[\s,]*)*\{/.test(selection)) return ['Must begin with a brace: { __typename conversationId }'];
  const { definitions } = parseDocument(fragmentOf(selection));
  const isWhole = definitions.every(({ kind }) => kind === Kind.FRAGMENT_DEFINITION);
  return isWhole ? [] : ['May hold only fields in braces, and after them the fragments that they use.'];
}
