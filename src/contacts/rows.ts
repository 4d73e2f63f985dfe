import type { Contact } from '../generated/prisma/client.ts';

/** The column of each field. */
const columns: Record<keyof Contact, string> = {
  id: 'id',
  organizationId: 'organization_id',
  externalId: 'external_id',
  displayName: 'display_name',
  avatarUrl: 'avatar_url',
  email: 'email',
  metadata: 'metadata',
  anonymous: 'anonymous',
  blockedAt: 'blocked_at',
  tokenGeneration: 'token_generation',
  visitorHash: 'visitor_hash',
  network: 'network',
  lastSeenAt: 'last_seen_at',
  forgetAfter: 'forget_after',
  erasingSince: 'erasing_since',
  letterAddress: 'letter_address',
  letterVerified: 'letter_verified',
  createdAt: 'created_at',
};

/** SQL for the columns of a contact, each under the name of its field. */
export const contactSelection = Object.entries(columns)
  .map(([field, column]) => `${column} AS "${field}"`)
  .join(', ');
