// What the fields of a chat mean, in plain words. Pure: no markup, no clock, no requests.
import { counted } from './shared/text.js';

/** Most characters of a message, where the service does not say. */
const MAX_TEXT_CHARS = 5000;
const COUNTED_BEFORE_END = 500;
const TAIL_CHARS = 6;

/** What the list can be narrowed to: `[[key, word]…]`; the first is the service's own choice, without a `state`. */
export const FILTERS = [
  ['connected', 'Connected'], ['waiting', 'Waiting for a person'], ['operator', 'Taken over'], ['flagged', 'Flagged'], ['all', 'All'],
];

/** Whether somebody is to take the chat: it was handed to people, and nobody has it. */
export function isWaiting({ mode, operator }) {
  return mode === 'operator' && operator === null;
}

/** Whether this user has the chat. */
export function isMine({ operator, operatorId }, user) {
  return operator !== null && operatorId === user.id;
}

/** `{word, tone, icon}` of who speaks in a chat. */
export function standingOf(session, user) {
  if (isWaiting(session)) return { word: 'Waiting', tone: 'warn', icon: 'waiting' };
  if (session.mode === 'bot') return { word: 'Bot', tone: 'neutral', icon: 'tasks' };
  return isMine(session, user)
    ? { word: 'You', tone: 'good', icon: 'done' }
    : { word: session.operator, tone: 'live', icon: 'active' };
}

/** Whether a chat belongs in the list that is narrowed to this. */
export function fits(session, filter) {
  const { connected, flagged, mode } = session;
  const tests = { all: true, connected, flagged, waiting: isWaiting(session), operator: mode === 'operator' && session.operator !== null };
  return tests[filter] ?? true;
}

/** Who waits first, then where something happened last. */
export function inOrder(sessions) {
  const at = ({ updatedAt }) => updatedAt;
  return [...sessions].sort((a, b) => isWaiting(b) - isWaiting(a) || (at(a) < at(b) ? 1 : -1));
}

/** The end of an id, by which people tell chats apart. */
export function shortId(sessionId) {
  return `…${sessionId.slice(-TAIL_CHARS)}`;
}

/** The site that a visitor writes from, without the part that is always the same; null where that is not known. */
export function siteOf({ meta: { origin } }) {
  return origin ? origin.replace(/^https?:\/\//, '') : null;
}

const NAMES = { user: 'Visitor', bot: 'Bot', operator: 'Operator' };

/** Who said it. */
export function nameOf({ from, name }) {
  return name ?? NAMES[from] ?? from;
}

/** The newest message in a line, with who said it. */
export function previewOf({ lastMessage }) {
  return lastMessage ? `${nameOf(lastMessage)}: ${lastMessage.text}` : 'Nothing was said yet.';
}

/** What the composer's reader needs to know near the end of the room, or null: `{text, tooLong}`. */
export function room(text, most = MAX_TEXT_CHARS) {
  // No text has more characters than UTF-16 units.
  if (text.length <= most - COUNTED_BEFORE_END) return null;
  const left = most - [...text].length;
  if (left > COUNTED_BEFORE_END) return null;
  return left < 0
    ? { text: `${(-left).toLocaleString('en')} too many: a message has at most ${most.toLocaleString('en')} characters.`, tooLong: true }
    : { text: `${counted(left, 'character')} left.`, tooLong: false };
}

/** What an operator should know before he writes: `{tone, text}`, or null where there is nothing to say. */
export function hintFor(session, user) {
  if (session.mode === 'bot') return { tone: 'neutral', text: 'The bot answers here, also after your reply. Take over to silence it.' };
  if (isWaiting(session)) return { tone: 'warn', text: 'The visitor waits for a person. Take over, so that others see that you are at it.' };
  if (!isMine(session, user)) return { tone: 'neutral', text: `${session.operator} has this chat.` };
  return null;
}

/** The title of the browser's tab. */
export function tabTitle(waiting, title) {
  return waiting === 0 ? title : `(${waiting}) ${title}`;
}
