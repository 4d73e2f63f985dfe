import { builder } from '../../graphql/builder.ts';
import { MAX_ATTACHMENTS } from '../model.ts';
import { AttachmentTypeRef } from './attachment.ts';

const RemoteAttachmentInput = builder.inputType('RemoteAttachmentInput', {
  description:
    'A file at a public address. It is fetched before the message is committed, within 20 seconds, and kept.',
  fields: (t) => ({
    url: t.field({
      type: 'URL',
      required: true,
      description: 'Its http: or https: address. Up to three redirects are followed.',
    }),
    filename: t.string({ description: 'At most 1 KiB. Left out: the end of the address.' }),
    type: t.field({
      type: AttachmentTypeRef,
      description: '`STICKER` makes a picture a sticker. Anything else is told by the contents of the file.',
    }),
  }),
});

export const AttachmentInput = builder.inputType('AttachmentInput', {
  description: 'One file of a message; exactly one field.',
  isOneOf: true,
  fields: (t) => ({
    id: t.id({
      description:
        'An attachment that you have uploaded with the same credential, `att_…`. A message may name it once, and it belongs to that message from then on.',
    }),
    remote: t.field({ type: RemoteAttachmentInput, description: 'Only operators may give it. A file to fetch.' }),
  }),
});

export const attachmentsDescription = `Files of the message, at most ${MAX_ATTACHMENTS}, in this order. With one the content may be an empty text.`;
