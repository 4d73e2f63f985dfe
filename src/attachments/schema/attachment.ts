import { visibleTo } from '../../access/visibility.ts';
import { AttachmentStatus, AttachmentType } from '../../generated/prisma/enums.ts';
import { builder } from '../../graphql/builder.ts';
import { linkTo } from '../links.ts';

export const AttachmentTypeRef = builder.enumType('AttachmentType', {
  description: 'What a file is to people.',
  values: {
    [AttachmentType.IMAGE]: { description: 'A picture.' },
    [AttachmentType.VIDEO]: { description: 'A film.' },
    [AttachmentType.AUDIO]: { description: 'A sound.' },
    [AttachmentType.STICKER]: { description: 'A picture that the uploader calls a sticker.' },
    [AttachmentType.OTHER]: { description: 'Any other file. Browsers save it and never show it in place.' },
  } as const,
});

const AttachmentStatusRef = builder.enumType('AttachmentStatus', {
  description: 'Whether the file is there.',
  values: {
    [AttachmentStatus.PENDING]: { description: 'The file is still to be uploaded.' },
    [AttachmentStatus.READY]: { description: 'The file is there, and a message may name it or names it.' },
  } as const,
});

export const AttachmentRef = builder.prismaNode('Attachment', {
  description:
    'A file of a message. Until a message names it only its uploader sees it; one that no message has named within a day is removed.',
  id: { field: 'id', description: 'Globally unique ID, `att_…`.' },
  findUnique: (id, { viewer }) => ({ id, AND: visibleTo(viewer).attachment }),
  fields: (t) => ({
    type: t.expose('type', {
      type: AttachmentTypeRef,
      description:
        'By the contents of the file, whatever its name. Until the upload is complete: as the uploader says.',
    }),
    status: t.expose('status', { type: AttachmentStatusRef, description: 'Whether the file is there.' }),
    filename: t.exposeString('filename', {
      description:
        'Its name as given, without a path and without characters that cannot be seen, at most 200 bytes. The ending says nothing of what ' +
        'the file is.',
    }),
    contentType: t.exposeString('contentType', {
      nullable: true,
      description:
        'The media type, by the first bytes of the file and nothing else, such as `image/png`. Null until the upload is complete.',
    }),
    bytes: t.int({
      nullable: true,
      description: 'The size of the file in bytes. Until the upload is complete: what it must have.',
      resolve: ({ bytes }) => bytes || null,
    }),
    url: t.field({
      type: 'URL',
      nullable: true,
      description:
        'Where the file is, for an hour and for whoever has the address; ask again for another. Answers GET and HEAD, also for a range of ' +
        'bytes. Null until the upload is complete.',
      resolve: (attachment, _args, { services }) =>
        attachment.status === 'READY' ? linkTo(services.publicUrl, 'GET', attachment) : null,
    }),
    width: t.exposeInt('width', { nullable: true, description: 'Of a picture, in pixels. Null if unknown.' }),
    height: t.exposeInt('height', { nullable: true, description: 'Of a picture, in pixels. Null if unknown.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was created.' }),
  }),
});
