/** What a webhook is sent unless its selection says otherwise. */
export const defaultSelection = `{
  __typename
  conversationId
  cursor
  occurredAt
  ... on VersionedEvent {
    version
    conversation { id status title }
  }
  ... on MessageCreated { message { ...Written } }
  ... on MessageCompleted { message { ...Written } }
  ... on MessageErased { message { ...Written } }
  ... on StateChanged { after { playbook phase } }
  ... on HandoffStarted { handoff { ...Asked } }
  ... on HandoffAccepted { handoff { ...Asked } }
  ... on HandoffEnded { handoff { ...Asked } }
}
fragment Written on Message {
  id
  position
  role
  status
  text
  author { kind displayName }
  createdAt
  completedAt
}
fragment Asked on Handoff { id status reason queue assignee }
`;
