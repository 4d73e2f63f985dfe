import type { Hint } from './hints.ts';

/**
 * What hints are about. A server hears the hints of others about the topics that it has joined. All servers have joined `control`.
 * The others are named by row ids.
 */
export type Topic = 'control' | `conversation:${string}` | `organization:${string}`;

export function ofConversation(id: string): Topic {
  return `conversation:${id}`;
}

export function ofOrganization(id: string): Topic {
  return `organization:${id}`;
}

/** The topics under which a hint is sent. A server that has joined several of them may hear it as often. */
export function topicsOf(hint: Hint): Topic[] {
  if (hint.kind === 'revoked' || hint.kind === 'log-moved') return ['control'];
  const topics = [ofConversation(hint.conversationId)];
  if (hint.kind === 'log' && hint.organizationId !== undefined) topics.push(ofOrganization(hint.organizationId));
  return topics;
}
