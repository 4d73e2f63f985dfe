import type { InputIssue } from '../../errors.ts';
import type { ValueReader } from '../../value-reader.ts';
import { typeOfEvent } from '../event-names.ts';
import type { WebhookServices } from '../model.ts';

/** What a webhook is made with. A field left out stays as it is. */
export interface WebhookInput {
  url?: URL | string | null | undefined;
  events?: readonly string[] | null | undefined;
  selection?: string | null | undefined;
}

/** Reads the fields that are given. `events` become types, sorted. Collects faults in the reader. */
export function readWebhook(
  reader: ValueReader,
  { payloads, webhooks }: Pick<WebhookServices, 'payloads' | 'webhooks'>,
  input: WebhookInput,
): { url: string | undefined; events: string[] | undefined; selection: string | undefined } {
  const url = reader.url(['url'], input.url);
  for (const issue of url === undefined ? [] : faultsOfUrl(url, webhooks.allowPrivateAddresses)) {
    reader.refuse(issue.path, issue.detail);
  }
  const types = input.events?.map((name, index) => {
    const type = typeOfEvent(name);
    if (!type) reader.refuse(['events', String(index)], 'Is no event that can be sent.', 'NOT_FOUND');
    return type ?? name;
  });
  const selection = reader.text(['selection'], input.selection, Infinity);
  for (const fault of selection === undefined ? [] : payloads.faultsOf(selection)) {
    reader.refuse(['selection'], fault, 'SCHEMA');
  }
  return { url, events: types && [...new Set(types)].sort(), selection };
}

function faultsOfUrl(text: string, allowPrivateAddresses: boolean): InputIssue[] {
  if (!URL.canParse(text)) return [];
  const url = new URL(text);
  const issues: InputIssue[] = [];
  if (url.protocol !== 'https:' && !allowPrivateAddresses) issues.push({ path: ['url'], detail: 'Must be https:.' });
  if (url.username !== '' || url.password !== '') {
    issues.push({ path: ['url'], detail: 'Must hold no user name and no password. The signature says who sends.' });
  }
  return issues;
}
