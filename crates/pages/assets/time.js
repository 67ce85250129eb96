// Time as people read it: relative times, durations, and the server's clock.
// Refuses to know what the times belong to.
import { html, useEffect, useState } from './html.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// A laptop's clock can be minutes off, and "next try in 20 s" must not be: the `Date` of answers corrects it.
let offsetMs = 0;

/** Learns the server's clock from an answer. Differences that the header's own one-second steps explain are ignored. */
export function learnServerTime(response) {
  const date = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(date)) return;
  const difference = date + SECOND / 2 - Date.now();
  offsetMs = Math.abs(difference) > 2 * SECOND ? difference : 0;
}

/** Now, in milliseconds, by the server's clock. */
export function serverNow() {
  return Date.now() + offsetMs;
}

/** `12:04`, `1:02:33`: how long something took or has been going on. */
export function duration(ms) {
  const total = Math.max(0, Math.floor(ms / SECOND));
  const seconds = String(total % 60).padStart(2, '0');
  const minutes = Math.floor(total / 60) % 60;
  const hours = Math.floor(total / 3600);
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${seconds}` : `${minutes}:${seconds}`;
}

/** `20 s`, `4 min`, `3 h`, `2 days`: one unit, rounded down. */
export function span(ms) {
  const size = Math.abs(ms);
  if (size < MINUTE) return `${Math.floor(size / SECOND)} s`;
  if (size < HOUR) return `${Math.floor(size / MINUTE)} min`;
  if (size < DAY) return `${Math.floor(size / HOUR)} h`;
  const days = Math.floor(size / DAY);
  return days === 1 ? '1 day' : `${days} days`;
}

/** `just now`, `4 min ago`, `in 20 s`. */
export function relative(at, now = serverNow()) {
  const ago = now - Date.parse(at);
  if (ago < -SECOND) return `in ${span(ago)}`;
  return ago < 5 * SECOND ? 'just now' : `${span(ago)} ago`;
}

const time = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
const timeFormat = new Intl.DateTimeFormat(undefined, time);
const exactFormat = new Intl.DateTimeFormat(undefined, {
  year: 'numeric', month: 'short', day: 'numeric', ...time, timeZoneName: 'short',
});
const dayFormat = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', timeZone: 'UTC' });

/** The time of day, in the reader's own zone. */
export function timeOfDay(at) {
  return timeFormat.format(new Date(at));
}

/** Date, time and zone, in the reader's own. */
export function exact(at) {
  return exactFormat.format(new Date(at));
}

/** A calendar day (`2025-10-07`) without year. It is a name, not an instant: no zone may shift it. */
export function calendarDay(day) {
  return dayFormat.format(new Date(`${day}T00:00:00Z`));
}

/** The calendar day (`2025-10-07`) that it is in a time zone; in UTC where the browser does not know the zone. */
export function dayIn(timeZone, at = serverNow()) {
  const zone = knownZone(timeZone) ? timeZone : 'UTC';
  const parts = new Intl.DateTimeFormat('en', { timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit' }).formatToParts(at);
  const part = (type) => parts.find((one) => one.type === type).value;
  return `${part('year')}-${part('month')}-${part('day')}`;
}

function knownZone(timeZone) {
  try {
    return new Intl.DateTimeFormat('en', { timeZone }) !== null;
  } catch {
    return false;
  }
}

/** The `count` calendar days that end with this one, oldest first. */
export function daysUpTo(day, count) {
  const last = Date.parse(`${day}T00:00:00Z`);
  return Array.from({ length: count }, (_, back) => new Date(last - (count - 1 - back) * DAY).toISOString().slice(0, 10));
}

/** The current time; the component is drawn again every `everyMs` while it is shown, never when that is 0. */
export function useNow(everyMs = SECOND) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (everyMs === 0) return undefined;
    const timer = setInterval(() => tick((count) => count + 1), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return serverNow();
}

/** A relative time; the exact one is its tooltip and is read out. */
export function Time({ at }) {
  const recent = Math.abs(serverNow() - Date.parse(at)) < MINUTE;
  const now = useNow(recent ? SECOND : 30 * SECOND);
  return html`<time datetime=${at} title=${exact(at)}>
    ${relative(at, now)}<span class="visually-hidden"> (${exact(at)})</span>
  </time>`;
}
