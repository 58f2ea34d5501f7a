// Times, sizes and areas as a person reads them, here and now: local time, and the date where it is not today's.
// The console speaks English, so its numbers and times do too, in the reader's own kind of English if there is one.

const LOCALE = navigator.languages?.find((language) => language.startsWith("en")) ?? "en-GB";
const SECOND_US = 1_000_000;
const MINUTE_US = 60 * SECOND_US;
const HOUR_US = 60 * MINUTE_US;
export const DAY_US = 24 * HOUR_US;
const SQ_MILE_M2 = 2_589_988;

const dates = (options) => new Intl.DateTimeFormat(LOCALE, options);
const CLOCK = dates({ hour: "2-digit", minute: "2-digit" });
const SECONDS = dates({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const TENTHS = dates({ hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 1 });
const SHORT_DAY = dates({ day: "numeric", month: "short" });
const LONG_DAY = dates({ weekday: "long", day: "numeric", month: "long" });
const YEAR_DAY = dates({ day: "numeric", month: "short", year: "numeric" });

const at = (us) => new Date(us / 1_000);
export const nowUs = () => Date.now() * 1_000;

/** Microseconds of an RFC 3339 time, as requests carry it. */
export const parseUs = (text) => Date.parse(text) * 1_000;

/** The day of a time in this place, as "2026-11-24". */
export function dayOf(us) {
  const date = at(us);
  return [date.getFullYear(), date.getMonth() + 1, date.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}

/** The start of a day in this place, and the start of the next; a day may have 23 or 25 hours. */
export function dayBounds(day) {
  const [year, month, date] = day.split("-").map(Number);
  return [new Date(year, month - 1, date), new Date(year, month - 1, date + 1)].map((one) => one.getTime() * 1_000);
}

/** Another day, some days later or earlier. */
export function dayPlus(day, days) {
  const [year, month, date] = day.split("-").map(Number);
  return dayOf(new Date(year, month - 1, date + days, 12).getTime() * 1_000);
}

export const clock = (us) => CLOCK.format(at(us));
export const clockSeconds = (us) => SECONDS.format(at(us));
export const clockTenths = (us) => TENTHS.format(at(us));
export const longDay = (us) => LONG_DAY.format(at(us));
export const fullDate = (us) => YEAR_DAY.format(at(us));

/** The date as short as it is clear: without the year if it is this one. */
export function date(us) {
  return (at(us).getFullYear() === new Date().getFullYear() ? SHORT_DAY : YEAR_DAY).format(at(us));
}

/** A time, with its date where that is not today. */
export function moment(us) {
  return dayOf(us) === dayOf(nowUs()) ? clock(us) : `${date(us)}, ${clock(us)}`;
}

/** From one time to another, with each date once. */
export function range(fromUs, untilUs) {
  const sameDay = dayOf(fromUs) === dayOf(untilUs);
  return `${date(fromUs)}, ${clock(fromUs)} to ${sameDay ? "" : `${date(untilUs)}, `}${clock(untilUs)}`;
}

/** A length of time in its two largest units: "1 h 5 min", "12.4 s". */
export function duration(us) {
  if (us < 10 * SECOND_US) {
    return `${number(Math.round(us / 100_000) / 10)} s`;
  }
  const seconds = Math.round(us / SECOND_US);
  const units = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([size]) => seconds >= size);
  const [size, name] = units[first];
  const rest = units[first + 1] && Math.floor((seconds % size) / units[first + 1][0]);
  return `${number(Math.floor(seconds / size))} ${name}${rest ? ` ${rest} ${units[first + 1][1]}` : ""}`;
}

/** Minutes and seconds, as a player shows them: "1:05", with tenths where asked. */
export function playTime(us, { tenths = false } = {}) {
  const seconds = Math.max(0, us / SECOND_US);
  const whole = Math.floor(seconds);
  const rest = tenths ? `.${Math.floor((seconds - whole) * 10)}` : "";
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}${rest}`;
}

/** How long ago a time was, or in how long it will be, roughly. */
export function ago(us) {
  const away = us - nowUs();
  if (Math.abs(away) < MINUTE_US) {
    return "just now";
  }
  const [size, unit] = [[DAY_US, "day"], [HOUR_US, "hour"], [MINUTE_US, "minute"]].find(([one]) => Math.abs(away) >= one);
  return new Intl.RelativeTimeFormat(LOCALE, { numeric: "always" }).format(Math.trunc(away / size), unit);
}

export function number(value, options = {}) {
  return new Intl.NumberFormat(LOCALE, options).format(value);
}

/** A size in decimal units, as disks are sold. */
export function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const value = bytes / 1_000 ** step;
  const digits = step === 0 || value >= 100 ? 0 : 1;
  return number(value, { style: "unit", unit: units[step], unitDisplay: step === 0 ? "long" : "short", maximumFractionDigits: digits });
}

export const share = (part) => number(part, { style: "percent", maximumFractionDigits: 0 });
export const squareMiles = (m2) => number(m2 / SQ_MILE_M2, { maximumSignificantDigits: 2 });

/** An area in square miles, which the rules are written in, and in what the rest of the world knows. */
export function area(m2) {
  return `${squareMiles(m2)} sq mi (${number(m2 / 1e6, { maximumSignificantDigits: 2 })} km²)`;
}

/** A length in metres or kilometres. */
export function length(m) {
  return m >= 1_000 ? `${number(m / 1_000, { maximumFractionDigits: 1 })} km` : `${number(Math.round(m))} m`;
}

/** "1 clip", "3 clips". */
export function count(n, one, many = `${one}s`) {
  return `${number(n)} ${n === 1 ? one : many}`;
}

/** The first letter large: what devices and agencies say begins as it likes. */
export const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** "a, b and c". */
export const list = (items) => new Intl.ListFormat(LOCALE, { type: "conjunction" }).format(items);
