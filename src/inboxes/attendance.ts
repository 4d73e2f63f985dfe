import { LRUCache } from 'lru-cache';
import { z } from 'zod';

export const weekdays = ['MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY', 'SUNDAY'] as const;

/** A span of a day in which somebody is there, every week. */
export interface AttendedHours {
  day: (typeof weekdays)[number];
  /** `HH:MM`, by the inbox's time zone. */
  from: string;
  /** `HH:MM`, after `from`; at most `24:00`. */
  to: string;
}

/** When the people behind an inbox are there. */
export interface Attendance {
  timeZone: string | null;
  /** Null: nobody has said, and somebody is always expected. Empty: never. */
  hours: AttendedHours[] | null;
  awayMessage: string | null;
}

const hoursSchema = z.array(z.object({ day: z.enum(weekdays), from: z.string(), to: z.string() }));

/** The stored data of an inbox as its attendance. */
export function attendanceOf(row: { timeZone: string | null; hours: unknown; awayMessage: string | null }): Attendance {
  return { ...row, hours: row.hours === null ? null : hoursSchema.parse(row.hours) };
}

/** Whether somebody is there at this time. */
export function isAttended({ timeZone, hours }: Attendance, at: Date): boolean {
  if (hours === null) return true;
  const { day, minute } = localTime(at, timeZone);
  return hours.some((span) => span.day === day && minuteOf(span.from) <= minute && minute < minuteOf(span.to));
}

/** When somebody comes next. Null if somebody is there, or if nobody ever is. */
export function nextAttended(attendance: Attendance, now: Date): Date | null {
  const { timeZone, hours } = attendance;
  if (hours === null || isAttended(attendance, now)) return null;
  const starts = hours.flatMap((span) => startsOf(span, timeZone, now)).filter((start) => start > now.getTime());
  return starts.length === 0 ? null : new Date(Math.min(...starts));
}

/** What to tell somebody who wants a person when nobody is there. */
export interface Absence {
  /** When a person is there again, in words. Null: nobody ever is. */
  until: string | null;
  awayMessage: string | null;
}

/** Null while somebody is there. */
export function absenceAt(attendance: Attendance, now: Date): Absence | null {
  if (isAttended(attendance, now)) return null;
  const next = nextAttended(attendance, now);
  return { until: next && inWords(next, attendance.timeZone), awayMessage: attendance.awayMessage };
}

/** The name of a time zone as it is commonly written. Null if there is none of this name. */
export function timeZoneNamed(name: string): string | null {
  try {
    return /^[A-Za-z]/.test(name) ? formatIn(name).resolvedOptions().timeZone : null;
  } catch {
    return null;
  }
}

/** The minute of the day of a time such as `09:30`, up to `24:00`. NaN if it is none. */
export function minuteOf(time: string): number {
  const [, hour, minute] = /^([01]\d|2[0-4]):([0-5]\d)$/.exec(time) ?? [];
  const minutes = Number(hour) * 60 + Number(minute);
  return minutes <= MINUTES_OF_DAY ? minutes : NaN;
}

const MINUTES_OF_DAY = 24 * 60;
const MINUTE_MS = 60_000;
const DAY_MS = MINUTES_OF_DAY * MINUTE_MS;

/** The starts of a span from today's on, for more than a week: today's may be over. */
function startsOf({ day, from }: AttendedHours, timeZone: string | null, now: Date): number[] {
  const today = localTime(now, timeZone);
  const ahead = (weekdays.indexOf(day) - weekdays.indexOf(today.day) + 7) % 7;
  return [ahead, ahead + 7].map((days) =>
    instantOf(today.midnight + days * DAY_MS + minuteOf(from) * MINUTE_MS, timeZone),
  );
}

interface LocalTime {
  day: AttendedHours['day'];
  minute: number;
  /** The beginning of the day, as if its clock were UTC's. */
  midnight: number;
}

function localTime(at: Date, timeZone: string | null): LocalTime {
  const wall = wallClock(at.getTime(), timeZone);
  const midnight = Math.floor(wall / DAY_MS) * DAY_MS;
  // 1 January 1970 was a Thursday.
  const day = weekdays[(midnight / DAY_MS + 3) % 7] ?? 'MONDAY';
  return { day, minute: Math.floor((wall - midnight) / MINUTE_MS), midnight };
}

/** What the clocks of a time zone show, as if they were UTC's. */
function wallClock(instant: number, timeZone: string | null): number {
  const parts = formatIn(timeZone ?? 'UTC').formatToParts(instant);
  const part = (type: Intl.DateTimeFormatPartTypes) => Number(parts.find((each) => each.type === type)?.value);
  return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'), part('second'));
}

/** When the clocks of a time zone show this. A time that a change of the clocks leaves out is the one an hour later. */
function instantOf(wall: number, timeZone: string | null): number {
  const offsetAt = (instant: number) => wallClock(instant, timeZone) - Math.floor(instant / 1000) * 1000;
  const guess = wall - offsetAt(wall);
  return wall - offsetAt(guess);
}

const formats = new LRUCache<string, Intl.DateTimeFormat>({ max: 500 });

/** Throws a `RangeError` for an unknown time zone. */
function formatIn(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known) return known;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  formats.set(timeZone, format);
  return format;
}

/** Such as `Monday, 30 November at 09:00 (Europe/Berlin)`. */
function inWords(at: Date, timeZone: string | null): string {
  const zone = timeZone ?? 'UTC';
  const date = new Intl.DateTimeFormat('en-GB', { timeZone: zone, weekday: 'long', day: 'numeric', month: 'long' });
  const time = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit' });
  return `${date.format(at)} at ${time.format(at)} (${zone})`;
}
