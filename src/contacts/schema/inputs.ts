import { builder } from '../../graphql/builder.ts';

export const descriptions = {
  externalId: "The person's ID in your own system. Unique in the organization. 1 byte to 1 KiB.",
  displayName: "The person's name, shown with their messages. At most 1 KiB.",
  email: 'One email address. Nobody checks that it is theirs. At most 254 bytes.',
  avatarUrl: 'A picture of the person. At most 2 KiB.',
  metadata:
    'For operators. Added to what is there (JSON Merge Patch, RFC 7396): a null removes its key. At most 64 KiB, and 128 KiB in all.',
} as const;

export const ContactIdentityInput = builder.inputType('ContactIdentity', {
  description:
    'A person as your own system names them. Of a person who is known already, a field left out stays unchanged and null clears it.',
  fields: (t) => ({
    externalId: t.string({ required: true, description: descriptions.externalId }),
    displayName: t.string({ description: descriptions.displayName }),
    email: t.string({ description: descriptions.email }),
    avatarUrl: t.field({ type: 'URL', description: descriptions.avatarUrl }),
    metadata: t.field({ type: 'JSONObject', description: descriptions.metadata }),
  }),
});
