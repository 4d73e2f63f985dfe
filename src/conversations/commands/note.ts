import { type Author, type Caller } from '../../access/caller.ts';
import { type AttachmentInput, readFiles } from '../../attachments/name-in-message.ts';
import { type Committed, commit } from '../log/commit.ts';
import type { ConversationServices } from '../services.ts';
import { idempotencyOf } from './idempotency.ts';
import { type AuthorInput, type ContentInput, InputReader } from './input.ts';
import { withFiles } from './message-files.ts';
import { type ConversationInput, targetOf } from './target.ts';

export interface AddNoteInput extends ConversationInput {
  content: ContentInput;
  author?: AuthorInput | null | undefined;
  attachments?: readonly AttachmentInput[] | null | undefined;
  idempotencyKey?: string | null | undefined;
}

/** Adds a message from operators to operators. Allowed at any time: it disturbs no reply, and comes into no prompt. */
export async function addNote(services: ConversationServices, caller: Caller, input: AddNoteInput): Promise<Committed> {
  const target = targetOf(caller, 'addNote', input);
  const reader = new InputReader();
  const key = reader.idempotencyKey(input.idempotencyKey);
  const fragments = reader.content(['content'], input.content, (input.attachments?.length ?? 0) > 0);
  const path = ['attachments'];
  const files = readFiles(reader, caller, path, input.attachments);
  if (caller.operatorId !== null && input.author) reader.refuse(['author'], 'Is yourself, for an operator.');
  const author: Author = input.author
    ? { kind: 'HUMAN_AGENT', ...reader.author(['author'], input.author) }
    : caller.actor;
  reader.finish();
  const idempotency = idempotencyOf(caller.id, key, 'addNote', { ...input });
  return withFiles(services, caller, { files, path, idempotency }, (attachments) =>
    commit(services, {
      ...target,
      serverId: null,
      idempotency,
      message: { id: services.newId(), role: 'NOTE', author, fragments, attachments },
    }),
  );
}
