// What the widget says, and how it shows what others say. Pure: no page, no connection.

const MAX_TEXT_CHARS = 5000;
const COUNTED_FROM_CHARS = 4500;

const NAMES = { bot: 'Assistant', operator: 'Support', user: 'You' };

const WORDS = {
  empty: 'Write to us: the answer shows here.',
  bot: 'An assistant answers',
  operator: 'Our team answers',
  joined: 'Our team has joined the chat.',
  left: 'The assistant answers again.',
  connecting: 'Connecting …',
  waiting: 'Not connected. What you write is kept and sent as soon as the connection is back.',
  refused: 'This chat is not available here.',
  erased: 'This chat was deleted. Write again to begin a new one.',
  troubled: 'There is no answer right now. Try again in a moment.',
  sending: 'Sending …',
  kept: 'Is sent when the connection is back',
  unsent: 'Not sent',
  full: 'Too many messages wait to be sent. Wait until they are.',
  again: 'Try again',
  edit: 'Edit',
  newer: 'New messages',
  hint: 'Enter sends, Shift+Enter begins a new line.',
};

/** Characters as the service counts them. */
function length(text) {
  // No text has more characters than UTF-16 units.
  return text.length <= COUNTED_FROM_CHARS ? text.length : [...text].length;
}

/** What to say about the room that is left, or null. */
function roomLeft(text) {
  const left = MAX_TEXT_CHARS - length(text);
  if (left < 0) return { tooLong: true, text: `${-left} too many: a message has at most ${MAX_TEXT_CHARS} characters.` };
  return left <= MAX_TEXT_CHARS - COUNTED_FROM_CHARS ? { tooLong: false, text: `${left} ${left === 1 ? 'character' : 'characters'} left.` } : null;
}

const ADDRESS = /https?:\/\/[^\s<>"'`]+/gi;

/** A text in pieces: `[{text, link?}…]`. What ends a sentence does not belong to the address before it. */
function pieces(text) {
  const found = [];
  let end = 0;
  for (const { 0: raw, index } of text.matchAll(ADDRESS)) {
    const link = withoutSentenceEnd(raw);
    if (!isWebAddress(link)) continue;
    if (index > end) found.push({ text: text.slice(end, index) });
    found.push({ text: link, link });
    end = index + link.length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}

function withoutSentenceEnd(address) {
  const bare = address.replace(/[.,;:!?…]+$/, '');
  // A bracket belongs to the address only where it was opened in it.
  const open = bare.split('(').length;
  return bare.endsWith(')') && bare.split(')').length > open ? withoutSentenceEnd(bare.slice(0, -1)) : bare;
}

function isWebAddress(text) {
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}

const timeOfDay = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const dateAndTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const DAY_MS = 24 * 60 * 60 * 1000;

/** When something was said: the time, after a day with the date. */
function moment(at) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '';
  return (Date.now() - date < DAY_MS ? timeOfDay : dateAndTime).format(date);
}

/** Black or white, whichever is easier to read on a colour of these parts (0 to 255). */
function inkOn([red, green, blue]) {
  const [r, g, b] = [red, green, blue].map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  // Where both have the same contrast.
  return light > 0.179 ? '#000' : '#fff';
}
