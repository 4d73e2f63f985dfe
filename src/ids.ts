import { TypeID, typeid } from 'typeid-js';
import { uuidInBase32 } from './base32.ts';

/** The public prefix of each type that has ids. Ids are TypeIDs: the prefix and a UUIDv7 in base 32. */
export const idPrefixes = {
  Agent: 'agent',
  ApiKey: 'key',
  Article: 'article',
  Attachment: 'att',
  Contact: 'contact',
  Conversation: 'conv',
  Corpus: 'corpus',
  Erasure: 'erasure',
  Export: 'export',
  Handoff: 'handoff',
  Inbox: 'inbox',
  Letter: 'letter',
  Message: 'msg',
  Organization: 'org',
  Operator: 'oper',
  UnansweredQuestion: 'unanswered',
  Webhook: 'webhook',
  WebhookDelivery: 'delivery',
} as const;

export type IdType = keyof typeof idPrefixes;

const typesByPrefix = new Map<string, IdType>();
for (const type in idPrefixes) if (isIdType(type)) typesByPrefix.set(idPrefixes[type], type);

/** Makes new ids. Injected, so that tests can choose them. */
export type NewId = () => string;

/** A new UUIDv7, for a row. */
export const newId: NewId = () => typeid().toUUID();

/** The public form of a row's id. */
export function encodeId(type: IdType, uuid: string): string {
  return `${idPrefixes[type]}_${uuidInBase32(uuid)}`;
}

/** The longest id that is decoded, in characters. */
const MAX_ID = 100;

/** The type and row id of a public id. Null if it is malformed. */
export function decodeAnyId(id: string): { type: IdType; uuid: string } | null {
  if (id.length > MAX_ID) return null;
  const [prefix = ''] = id.split('_', 1);
  const type = typesByPrefix.get(prefix);
  if (!type) return null;
  try {
    return { type, uuid: TypeID.fromString(id, prefix).toUUID() };
  } catch {
    return null;
  }
}

/** The row id of a public id of this type. Null if it is malformed or of another type. */
export function decodeId(type: IdType, id: string): string | null {
  const decoded = decodeAnyId(id);
  return decoded?.type === type ? decoded.uuid : null;
}

/** The public id of a fragment: the message's id with the index, since fragments have no row id. */
export function encodeFragmentId(messageId: string, index: number): string {
  return `frag_${uuidInBase32(messageId)}_${index}`;
}

/** Whether a text is a UUID that PostgreSQL accepts. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
}

export function isIdType(name: string): name is IdType {
  return Object.hasOwn(idPrefixes, name);
}
