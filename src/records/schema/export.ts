import { InvalidInputError } from '../../errors.ts';
import { builder } from '../../graphql/builder.ts';
import { present } from '../../graphql/present.ts';
import { JobRef } from '../../jobs/schema.ts';
import { TooManyJobsError } from '../../jobs/tracked.ts';
import { downloadUrl } from '../download.ts';
import { readExportState } from '../export-lines.ts';
import { exportOf, startExport } from '../exports.ts';
import { RecordFilterRef } from './filter.ts';

const ExportKindRef = builder.enumType('ExportKind', {
  description: 'What is exported.',
  values: {
    RECORDS: { description: 'Questions with their answers, by the day of the question.' },
    CONVERSATIONS: { description: 'Conversations, by the day on which they began.' },
    MESSAGES: { description: 'Messages that are no longer in progress, by the day on which they began.' },
    EVENTS: {
      description: 'The event log of all conversations, up to what was committed when the export was asked for.',
    },
  } as const,
});

const ExportFormatRef = builder.enumType('ExportFormat', {
  description: 'The format of the file.',
  values: {
    XLSX: {
      description:
        'An Excel file. A further sheet begins after 1,048,575 rows; texts over 32,767 characters are cut, and end with `… [cut]`.',
    },
    CSV: {
      description:
        'RFC 4180. In texts, each `=`, `+`, `-` and `@` that a spreadsheet could take for the beginning of a formula has an apostrophe ' +
        'before it: at the beginning of the text, and after a comma, semicolon, tab or line break.',
    },
    JSONL: { description: 'A JSON object on each line.' },
  } as const,
});

const ExportRef = builder.prismaNode('Job', {
  variant: 'Export',
  description: 'An export: a job that makes a file.',
  interfaces: [JobRef],
  id: { field: 'id', description: 'Globally unique ID.' },
  findUnique: (id, { viewer: { organizationId } }) => ({ id, organizationId, kind: 'EXPORT' }),
  fields: (t) => ({
    kind: t.field({
      type: ExportKindRef,
      description: 'What is exported.',
      resolve: ({ input }) => exportOf(input).kind,
    }),
    format: t.field({
      type: ExportFormatRef,
      description: 'The format of the file.',
      resolve: ({ input }) => exportOf(input).format,
    }),
    rows: t.int({
      description: 'How many rows are in the file; while it is made, in the parts that are stored.',
      resolve: ({ state }) => readExportState(state).rows,
    }),
    bytes: t.float({
      nullable: true,
      description: 'The size of the file. Null before it is whole.',
      resolve: ({ status, state }) => (status === 'DONE' ? readExportState(state).bytes : null),
    }),
    url: t.field({
      type: 'URL',
      nullable: true,
      description:
        'Where the file is, for an hour and for whoever has the address; ask again for another. Null before the file is whole and ' +
        'after it is removed.',
      resolve: (job, _args, { services }) =>
        job.expiresAt !== null && job.expiresAt > new Date() && readExportState(job.state).parts.length > 0
          ? downloadUrl(services.publicUrl, job)
          : null,
    }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'When the file is removed: seven days after it is whole, or as soon as newer files of the organization need its room. Null when there is none.',
    }),
  }),
});

const StartExportInput = builder.inputType('StartExportInput', {
  description: 'What is to be exported.',
  fields: (t) => ({
    kind: t.field({ type: ExportKindRef, required: true, description: 'What.' }),
    format: t.field({ type: ExportFormatRef, required: true, description: 'In which format.' }),
    filter: t.field({
      type: RecordFilterRef,
      description: 'Which of them; required but for `EVENTS`. Texts and a rating can be given only for `RECORDS`.',
    }),
    since: t.field({ type: 'EventPosition', description: 'For `EVENTS`: those after this place. Default: all.' }),
  }),
});

const StartExportPayload = builder.objectRef<{ jobId: string }>('StartExportPayload').implement({
  description: 'The export waits for its turn.',
  fields: (t) => ({
    export: t.prismaField({
      type: ExportRef,
      description: 'The current export. Follow it by `jobProgress`.',
      resolve: (query, { jobId: id }, _args, { services }) =>
        services.prisma.job.findUnique({ ...query, where: { id } }).then(present),
    }),
  }),
});

builder.mutationField('startExport', (t) =>
  t.field({
    type: StartExportPayload,
    nullable: true,
    authScopes: { $all: { read: true, write: true } },
    description:
      'Starts an export. Exports of one organization run one after the other. If its server stops working, another goes on: a CSV or ' +
      'JSONL file where it was, an Excel file from the beginning. The files of one organization have at most 2 GiB: the oldest give way to ' +
      'new ones, and an export of more fails. Rows that are added or change meanwhile may be in it or not.',
    errors: {
      types: [InvalidInputError, TooManyJobsError],
      union: { name: 'StartExportResult', description: 'The result of `startExport`.' },
    },
    args: { input: t.arg({ type: StartExportInput, required: true, description: 'What is to be exported.' }) },
    resolve: (_root, { input }, { services, viewer }) => startExport(services, viewer, input),
  }),
);
