// What a call's fields mean, in plain words. Pure: no markup, no clock, no requests.
import { counted } from './shared/text.js';

const OVER = {
  successful: { word: 'Successful', tone: 'good', icon: 'done' },
  unsuccessful: { word: 'Unsuccessful', tone: 'warn', icon: 'failed' },
  ended: { word: 'Ended', tone: 'neutral', icon: 'stopped' },
};
const STATES = {
  registered: { word: 'Registered', tone: 'neutral', icon: 'waiting' },
  ongoing: { word: 'Ongoing', tone: 'live', icon: 'active' },
  not_connected: { word: 'Not connected', tone: 'warn', icon: 'warning' },
  error: { word: 'Error', tone: 'bad', icon: 'failed' },
};

/** `{word, tone, icon}` of how a call stands: how it came out once that is known, else Retell's status. */
export function stateOf({ status, successful }) {
  if (STATES[status] !== undefined) return STATES[status];
  if (successful !== null) return successful ? OVER.successful : OVER.unsuccessful;
  if (status === null) return { word: 'Not known', tone: 'neutral', icon: 'info' };
  return status === 'ended' ? OVER.ended : { word: plain(status), tone: 'neutral', icon: 'info' };
}

const SENTIMENTS = {
  Positive: { tone: 'good', icon: 'done' },
  Neutral: { tone: 'neutral', icon: 'stopped' },
  Negative: { tone: 'bad', icon: 'failed' },
  Unknown: { tone: 'neutral', icon: 'info' },
};

/** The sentiments of Retell's analysis. */
export const sentiments = Object.keys(SENTIMENTS);

/** `{word, tone, icon}` of a sentiment; a word that Retell did not have yet is shown as it is. */
export function sentimentOf(sentiment) {
  return { word: sentiment, ...(SENTIMENTS[sentiment] ?? SENTIMENTS.Unknown) };
}

/** Who was at the other end: the number that is not the agent's, or what took its place. */
export function otherEnd({ channel, direction, fromNumber, toNumber }) {
  const number = direction === 'outbound' ? toNumber ?? fromNumber : fromNumber ?? toNumber;
  return number ?? (channel === 'chat' ? 'Chat' : 'Web call');
}

/** `Inbound call`, `Chat`. */
export function kindOf({ channel, direction }) {
  if (channel === 'chat') return 'Chat';
  return direction === null ? 'Call' : `${plain(direction)} call`;
}

/** `5.00`, or nothing while it is not known. */
export function minutes(value) {
  return value === null ? '' : value.toLocaleString('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
}

/** Retell's cents as dollars; `exactly` keeps fractions of a cent. Nothing while they are not known. */
export function money(cents, { exactly = false } = {}) {
  if (cents === null) return '';
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: exactly ? 5 : 2 };
  return `$${(cents / 100).toLocaleString('en', digits)}`;
}

const SPEAKERS = {
  agent: { name: 'Agent', side: 'right' },
  user: { name: 'Caller', side: 'left' },
  transfer_target: { name: 'Transfer target', side: 'left' },
};

/** `{name, side}` of a role in Retell's transcripts. */
export function speakerOf(role) {
  return SPEAKERS[role] ?? { name: plain(role), side: 'middle' };
}

/** `User hangup` for `user_hangup`: a program's word as a person reads it. */
export function plain(word) {
  const text = word.replaceAll('_', ' ').trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `1 call`, `1,200 calls`. */
export function calls(count) {
  return counted(count, 'call');
}
