/** The row id of a conversation that is found by its number, so that PostgreSQL itself can choose one at random. */
export function numberedId(number: number): string {
  return PREFIX + String(number).padStart(12, '0');
}

const PREFIX = '00000000-0000-7000-8000-';

/** The same in SQL, of a number in SQL. */
export function numberedIdSql(number: string): string {
  return `('${PREFIX}' || lpad(${number}::text, 12, '0'))::uuid`;
}

/** A number from 1 to `count`. */
export function randomNumber(count: number): number {
  return 1 + Math.floor(Math.random() * count);
}

/** A statement that sends a message in a conversation, with what differs each time. */
export interface SendStatement {
  text: string;
  values: (string | null)[];
  conversationId: string;
  messageId: string;
}
