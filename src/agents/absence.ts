/** What to tell somebody who wants a person when nobody is there. */
export interface Absence {
  /** When a person is there again, such as `Monday 30 November at 09:00 (Europe/Berlin)`. Null: nobody ever is. */
  until: string | null;
  /** What the operators say to people when nobody is there. */
  awayMessage: string | null;
}

/** Whether a person can take over, now or later. */
export function canHandOver(absence: Absence | null): boolean {
  return absence === null || absence.until !== null;
}

/** The absence in sentences for an end user. */
export function tellAbsence({ until, awayMessage }: Absence): string {
  const when =
    until === null ? 'Nobody is here who could take over.' : `Nobody is here right now. Somebody is again on ${until}.`;
  return awayMessage === null ? when : `${when} ${awayMessage}`;
}

/** The absence as an instruction for a model. */
export function instructAbsence({ until, awayMessage }: Absence): string {
  const when =
    until === null
      ? 'No person can take over this conversation: never promise one.'
      : `No person is here right now; one is again on ${until}. Say so before you hand over, and promise nobody sooner.`;
  return awayMessage === null ? when : `${when} Whoever wants a person is to be told: ${awayMessage}`;
}
