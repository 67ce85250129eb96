// What a task's fields mean, in plain words. Pure: no markup, no clock, no requests.
import { asSentence, counted } from './shared/text.js';

/** Most characters of a message. */
export const MAX_TEXT_CHARS = 20_000;
const COUNTED_FROM = 19_000;
const READ_OUT_CHARS = 300;

const STATES = {
  waiting: { word: 'Waiting', tone: 'live', icon: 'waiting' },
  answered: { word: 'Answered', tone: 'good', icon: 'done' },
  failed: { word: 'Failed', tone: 'bad', icon: 'failed' },
};
const UNKNOWN = { word: 'Not known', tone: 'neutral', icon: 'info' };

/** The states one can filter by: `[[key, word]…]`. */
export const states = Object.entries(STATES).map(([key, { word }]) => [key, word]);

/** `{word, tone, icon}` of how a task stands. */
export function stateOf({ state }) {
  return STATES[state] ?? UNKNOWN;
}

/** `{word, tone, icon}` of where a message is, by its place in the conversation. */
export function messageState(entries, index, task) {
  const { sending, problem, delivery } = entries[index];
  if (sending) return { word: 'Sending', tone: 'neutral', icon: 'waiting' };
  if (problem) return { word: 'Not sent', tone: 'bad', icon: 'failed' };
  const later = entries.slice(index + 1);
  if (!later.some(({ from, sending: unsent, problem: refused }) => from === 'user' && !unsent && !refused)) {
    return task === null ? STATES.waiting : stateOf(task);
  }
  if (delivery?.state === 'failed') return STATES.failed;
  if (later.some(({ from }) => from === 'agent')) return STATES.answered;
  return delivery?.state === 'delivered' ? { word: 'Sent', tone: 'neutral', icon: 'done' } : STATES.waiting;
}

// After these the agent may have the message and be at work on it.
const PERHAPS_RUNNING = ['answer_timeout', 'connection_lost', 'n8n_error', 'no_answer'];

/** Why a task failed and what can be done: `{title, text}`. */
export function failureStory({ code, message }) {
  const remark = PERHAPS_RUNNING.includes(code) ? ' The agent may still be at work on it; sent again, it may answer twice.' : '';
  return { title: TITLES[code] ?? 'The agent did not take the message', text: asSentence(message) + remark };
}

const TITLES = {
  no_answer: 'No answer came',
  answer_timeout: 'No answer came',
  agent_unreachable: 'The agent could not be reached',
  answer_too_long: 'The answer is too long to be shown',
  workflow_failed: 'The agent failed at its answer',
  n8n_error: 'The agent failed at its answer',
  n8n_refused: 'The agent refused the message',
};

/** What holds a message up, or null: `{text, nextAttemptAt, attempts}`. */
export function holdUp(task) {
  const delivery = task?.state === 'waiting' ? task.delivery : null;
  if (delivery?.state !== 'pending' || delivery.lastError === null) return null;
  return { text: asSentence(delivery.lastError.message), nextAttemptAt: delivery.nextAttemptAt, attempts: delivery.attempts };
}

/** Characters as the service counts them. */
export function length(text) {
  return [...text].length;
}

/** What the reader of a counter needs to know near the end, or null: `{text, tooLong}`. */
export function room(text) {
  // No text has more characters than UTF-16 units.
  if (text.length < COUNTED_FROM) return null;
  const left = MAX_TEXT_CHARS - length(text);
  if (left > MAX_TEXT_CHARS - COUNTED_FROM) return null;
  return left < 0
    ? { text: `${counted(-left, 'character')} too many: a message has at most ${MAX_TEXT_CHARS.toLocaleString('en')}.`, tooLong: true }
    : { text: `${counted(left, 'character')} left.`, tooLong: false };
}

/** An answer as it is read out: its beginning. */
export function spoken(agentId, text) {
  const characters = [...text];
  const beginning = characters.slice(0, READ_OUT_CHARS).join('');
  return `${agentId}: ${beginning}${characters.length > READ_OUT_CHARS ? '…' : ''}`;
}

/** The title of the browser's tab. */
export function tabTitle(agentId, waiting, task, title) {
  if (waiting) return `Waiting for ${agentId} · ${title}`;
  if (task?.state === 'failed') return `Failed: ${agentId} · ${title}`;
  return task === null ? `Chat with ${agentId} · ${title}` : `Answer from ${agentId} · ${title}`;
}

/** `1 answer`, `2 answers`. */
export function answers(count) {
  return counted(count, 'answer');
}
