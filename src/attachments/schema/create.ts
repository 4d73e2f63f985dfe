import { InvalidInputError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { UserErrorRef } from '../../graphql/user-errors.ts';
import { createAttachment, type CreatedAttachment } from '../commands/create.ts';
import { TooManyAttachmentsError } from '../model.ts';
import { AttachmentRef, AttachmentTypeRef } from './attachment.ts';

builder.objectType(TooManyAttachmentsError, {
  name: 'TooManyAttachmentsError',
  description:
    'Too many of your attachments are named in no message yet: 1000, or 20 of one person with client tokens, who may also upload no more ' +
    'than 200 files in 24 hours, and 20 times the largest file in bytes.',
  interfaces: [UserErrorRef],
});

const CreateAttachmentInput = builder.inputType('CreateAttachmentInput', {
  description: 'A file that is to be uploaded.',
  fields: (t) => ({
    filename: t.string({
      required: true,
      description:
        'Its name. At most 1 KiB; paths, characters that cannot be seen, and what is over 200 bytes are cut.',
    }),
    bytes: t.int({
      required: true,
      description:
        'Its size. The upload must have exactly so many bytes. From 1 to what the server allows: 10 MB unless it is set up otherwise.',
    }),
    type: t.field({
      type: AttachmentTypeRef,
      description: '`STICKER` makes a picture a sticker. Anything else is told by the contents of the file.',
    }),
  }),
});

const CreateAttachmentPayload = builder.objectRef<CreatedAttachment>('CreateAttachmentPayload').implement({
  description: 'The attachment waits for its file.',
  fields: (t) => ({
    attachment: t.prismaField({
      type: AttachmentRef,
      description: 'The new attachment.',
      resolve: (query, { attachmentId: id }, _args, { services }) =>
        services.prisma.attachment.findUnique({ ...query, where: { id } }).then(present),
    }),
    uploadUrl: t.expose('uploadUrl', {
      type: 'URL',
      description:
        'Where to send the bytes, once, by PUT and without any credential. Answers 201 when the file is kept. What is refused, or breaks off, ' +
        'may be sent again until the address expires.',
    }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'When the address expires: in an hour.' }),
  }),
});

builder.mutationField('createAttachment', (t) =>
  t.field({
    type: CreateAttachmentPayload,
    nullable: true,
    authScopes: { write: true, answer: true, upload: true },
    description: 'Prepares an upload: PUT the bytes to `uploadUrl`, then name the attachment in a message.',
    errors: {
      types: [InvalidInputError, TooManyAttachmentsError],
      union: { name: 'CreateAttachmentResult', description: 'The result of `createAttachment`.' },
    },
    args: { input: t.arg({ type: CreateAttachmentInput, required: true, description: 'The file.' }) },
    resolve: (_root, { input }, { services, viewer }) => createAttachment(services, viewer, input),
  }),
);
