import { InvalidInputError, NotFoundError } from '../errors.ts';
import { JobStatus } from '../generated/prisma/enums.ts';
import { notFound } from '../graphql/errors.ts';
import { builder } from '../graphql/builder.ts';
import { present } from '../graphql/present.ts';
import { UserErrorRef } from '../graphql/user-errors.ts';
import { cancellable } from '../conversations/stream/stream.ts';
import { cancelJob, decodeJobId } from './cancel.ts';
import { MAX_UNFINISHED, TooManyJobsError, typeOfKind } from './tracked.ts';
import { followJob } from './watch.ts';

const JobStatusRef = builder.enumType('JobStatus', {
  description: 'How far a job is.',
  values: {
    [JobStatus.QUEUED]: { description: 'It waits.' },
    [JobStatus.RUNNING]: { description: 'It runs, or goes on soon if its server has stopped working.' },
    [JobStatus.DONE]: { description: 'It has done all that was asked for.' },
    [JobStatus.FAILED]: { description: 'It was given up. `errorDetail` says why.' },
    [JobStatus.CANCELLED]: { description: 'Somebody has cancelled it.' },
  } as const,
});

export const JobRef = builder.prismaInterface('Job', {
  name: 'Job',
  description:
    'Long work that somebody has asked for. It survives the end of its server: another goes on with it, within seconds.',
  interfaces: [builder.nodeInterfaceRef()],
  resolveType: ({ kind }) => typeOfKind[kind],
  fields: (t) => ({
    status: t.expose('status', { type: JobStatusRef, description: 'How far it is.' }),
    progress: t.exposeFloat('progress', {
      description:
        'The part that is done, from 0 to 1; stored twice a second. Of an export, the part of the time or of the log that it is past.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked for.' }),
    finishedAt: t.expose('finishedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ended. Null before.',
    }),
    errorDetail: t.exposeString('errorDetail', {
      nullable: true,
      description: 'Why it failed, in English. Null unless it is `FAILED`.',
    }),
  }),
});

builder.objectType(TooManyJobsError, {
  name: 'TooManyJobsError',
  description: `${MAX_UNFINISHED} jobs of the organization wait or run. Try again when one has ended.`,
  interfaces: [UserErrorRef],
});

builder.subscriptionField('jobProgress', (t) =>
  t.field({
    type: JobRef,
    authScopes: { read: true },
    description:
      'A job as it is, then after each change, and at least every second while a server works on it, until it has ended; then the ' +
      'stream completes. Silence means that its server has stopped: another goes on when the lease of that one, `LEASE_SECONDS`, has ' +
      'run out. An unknown job is `NOT_FOUND`.',
    args: { id: t.arg.id({ required: true, description: 'ID of the job, such as `export_…`.' }) },
    subscribe: async (_root, { id }, { services, viewer: { organizationId } }) => {
      const jobId = decodeJobId(id);
      const read = () => services.prisma.job.findFirst({ where: { id: jobId ?? '', organizationId } });
      if (!jobId || !(await read())) throw notFound('There is no such job.');
      return cancellable((signal) => followJob(services.jobWatch, jobId, read, signal));
    },
    resolve: (job) => job,
  }),
);

const CancelJobInput = builder.inputType('CancelJobInput', {
  description: 'The job to cancel.',
  fields: (t) => ({ jobId: t.id({ required: true, description: 'ID of the job, such as `export_…`.' }) }),
});

const CancelJobPayload = builder.objectRef<{ jobId: string }>('CancelJobPayload').implement({
  description: 'The job is cancelled, unless it had ended.',
  fields: (t) => ({
    job: t.field({
      type: JobRef,
      description: 'The current job.',
      resolve: ({ jobId: id }, _args, { services }) => services.prisma.job.findUnique({ where: { id } }).then(present),
    }),
  }),
});

builder.mutationField('cancelJob', (t) =>
  t.field({
    type: CancelJobPayload,
    nullable: true,
    authScopes: { write: true },
    description:
      'Cancels a job. One that runs ends within about a second, and what it has made is removed. One that has ended stays as it is. An erasure cannot be cancelled.',
    errors: {
      types: [NotFoundError, InvalidInputError],
      union: { name: 'CancelJobResult', description: 'The result of `cancelJob`.' },
    },
    args: { input: t.arg({ type: CancelJobInput, required: true, description: 'The job to cancel.' }) },
    resolve: (_root, { input }, { services, viewer }) => cancelJob(services, viewer, input),
  }),
);
