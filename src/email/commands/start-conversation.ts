import type { Author, Caller } from '../../access/caller.ts';
import { ContactBlockedError } from '../../contacts/failures.ts';
import { findAgent, insertConversation } from '../../conversations/commands/create.ts';
import { idempotencyOf } from '../../conversations/commands/idempotency.ts';
import { type AuthorInput, InputReader, limits } from '../../conversations/commands/input.ts';
import { type Committed, commit } from '../../conversations/log/commit.ts';
import { ruleFor } from '../../conversations/log/transitions.ts';
import type { ConversationServices } from '../../conversations/services.ts';
import { isEmailAddress } from '../../email-address.ts';
import { InvalidInputError, NotFoundError } from '../../errors.ts';
import { decodeId } from '../../ids.ts';
import { contactAt } from '../contacts.ts';
import { letterLimits } from '../model.ts';

export interface StartEmailConversationInput {
  inboxId: string;
  /** Exactly one field is given. */
  to: { contactId?: string | null | undefined; address?: string | null | undefined };
  subject: string;
  text: string;
  author?: (AuthorInput & { kind: 'AI_AGENT' | 'HUMAN_AGENT' }) | null | undefined;
  agentId?: string | null | undefined;
  metadata?: unknown;
  idempotencyKey?: string | null | undefined;
}

/** Begins a conversation with a letter to a person. The letter goes out as each message of an email inbox does. */
export async function startEmailConversation(
  services: ConversationServices,
  caller: Caller,
  input: StartEmailConversationInput,
): Promise<Committed> {
  const { organizationId, operatorId } = caller;
  const reader = new InputReader();
  const key = reader.idempotencyKey(input.idempotencyKey);
  const subject = reader.text(['subject'], input.subject, 1024) ?? '';
  if (subject.trim() === '') reader.refuse(['subject'], 'Must not be empty.', 'REQUIRED');
  if (/[\p{Cc}\p{Zl}\p{Zp}]/u.test(subject)) reader.refuse(['subject'], 'Must be one line.', 'MALFORMED');
  if (subject.length > letterLimits.subject)
    reader.refuse(['subject'], `Must be at most ${letterLimits.subject} characters long.`, 'TOO_LONG');
  const text = reader.text(['text'], input.text, limits.content) ?? '';
  if (text.trim() === '') reader.refuse(['text'], 'Must not be empty.', 'REQUIRED');
  const metadata = reader.object(['metadata'], input.metadata) ?? {};
  const address = reader.text(['to', 'address'], input.to.address, 254);
  if (address !== undefined && !isEmailAddress(address))
    reader.refuse(['to', 'address'], 'Must be one email address.', 'MALFORMED');
  if (operatorId !== null && input.author) reader.refuse(['author'], 'Is yourself, for an operator.');
  const kind = input.author?.kind ?? 'AI_AGENT';
  const given: Author = { ...(input.author && reader.author(['author'], input.author)), kind };
  reader.finish();
  const { agent, inboxId } = await findAgent(services, caller, input);
  if (inboxId === null) throw new NotFoundError(['inboxId']);
  await requireAddress(services, inboxId);
  const contact =
    address === undefined
      ? await findRecipient(services, organizationId, input.to.contactId ?? '')
      : await contactAt({ db: services.pool, newId: services.newId }, organizationId, {
          address,
          name: null,
          vouchedFor: true,
        });
  if (contact.blocked) throw new ContactBlockedError(contact.contactId);
  const id = services.newId();
  return commit(
    services,
    {
      conversationId: id,
      organizationId,
      rule: ruleFor('sendMessage'),
      actor: caller.actor,
      participant: null,
      serverId: services.serverId(),
      idempotency: idempotencyOf(caller.id, key, 'startEmailConversation', { ...input }),
      beginning: { type: 'ConversationCreated' },
      message: {
        id: services.newId(),
        role: 'AGENT',
        author: operatorId === null ? given : caller.actor,
        fragments: [{ kind: 'TEXT', text, metadata: {} }],
      },
    },
    async (db) => {
      await insertConversation(db, organizationId, {
        id,
        agentId: agent.id,
        contactId: contact.contactId,
        inboxId,
        corpusId: null,
        continuesId: null,
        title: subject,
        state: {},
        systemPrompt: null,
        runtimeParameters: {},
        metadata,
        searchMetadata: {},
      });
      return {};
    },
  );
}

async function requireAddress({ pool }: ConversationServices, inboxId: string): Promise<void> {
  const { rowCount } = await pool.query({
    text: `SELECT FROM inbox WHERE id = $1 AND channel = 'EMAIL' AND address IS NOT NULL`,
    values: [inboxId],
  });
  if (rowCount === 1) return;
  const detail = 'Must be an email inbox with an address.';
  throw new InvalidInputError([{ path: ['inboxId'], code: 'NOT_ALLOWED', detail }]);
}

async function findRecipient({ pool }: ConversationServices, organizationId: string, contactId: string) {
  const path = ['to', 'contactId'];
  const { rows } = await pool.query<{ contactId: string; blocked: boolean; email: string | null }>({
    text: `SELECT id AS "contactId", blocked_at IS NOT NULL AS blocked, email FROM contact WHERE id = $1 AND organization_id = $2`,
    values: [decodeId('Contact', contactId), organizationId],
  });
  if (!rows[0]) throw new NotFoundError(path);
  if (rows[0].email === null) {
    throw new InvalidInputError([{ path, code: 'REQUIRED', detail: 'Has no email address.' }]);
  }
  return rows[0];
}
