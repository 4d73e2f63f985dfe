const DAY = 86_400_000;

const two = Array.from({ length: 60 }, (_, number) => String(number).padStart(2, '0'));
const three = Array.from({ length: 1000 }, (_, number) => String(number).padStart(3, '0'));

/** The day of the instant before, and its text. Those of a page are mostly of one day. */
let day = NaN;
let date = '';

/** The same as `toISOString`, which takes several times as long. Throws a `RangeError` for no instant. */
export function instantText(instant: Date): string {
  const time = instant.getTime();
  const today = Math.floor(time / DAY);
  if (today !== day) {
    date = instant.toISOString().slice(0, -13);
    day = today;
  }
  const milliseconds = time - today * DAY;
  const seconds = Math.floor(milliseconds / 1000);
  const minutes = Math.floor(seconds / 60);
  const clock = `${two[Math.floor(minutes / 60)]}:${two[minutes % 60]}:${two[seconds % 60]}`;
  return `${date}${clock}.${three[milliseconds % 1000]}Z`;
}
