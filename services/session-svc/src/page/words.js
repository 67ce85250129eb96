// What a session's fields mean, in plain words. Pure: no markup, no clock, no requests.
import { asSentence, counted } from './shared/text.js';

const OUTCOMES = {
  active: { word: 'Active', tone: 'live', icon: 'active' },
  completed: { word: 'Completed', tone: 'good', icon: 'done' },
  stopped_by_user: { word: 'Stopped', tone: 'neutral', icon: 'stopped' },
  failed: { word: 'Failed', tone: 'bad', icon: 'failed' },
  expired: { word: 'Expired', tone: 'warn', icon: 'waiting' },
};

/** The outcomes one can filter by: `[[key, word]…]`. */
export const outcomes = Object.entries(OUTCOMES).map(([key, { word }]) => [key, word]);

/** `active`, or why the session is over. */
export function outcomeKey(session) {
  return session.status === 'active' ? 'active' : session.stopReason;
}

/** `{word, tone, icon}` of how the session stands. */
export function outcomeOf(session) {
  return OUTCOMES[outcomeKey(session)] ?? { word: 'Stopped', tone: 'neutral', icon: 'stopped' };
}

/** `1 call`, `1,200 calls`. */
export function calls(count) {
  return counted(count, 'call');
}

/** How a session ended, in one line. */
export function ending(session) {
  return `Session ${outcomeOf(session).word.toLowerCase()}: ${calls(session.callsMade)} made`;
}

/** What there is to add to `ending`, or null. */
export function endingDetail(session) {
  switch (session.stopReason) {
    case 'expired':
      return 'n8n did not report its end in time. If the workflow still runs, stop it in n8n.';
    case 'stopped_by_user':
      return session.delivery.state === 'cancelled'
        ? null
        : 'A workflow that claims its calls ends at its next claim. One that does not goes on: stop it in n8n.';
    default:
      return null;
  }
}

/** What n8n said at the end, unless the story of the delivery tells it already; or null. */
export function closingWords({ message, delivery }) {
  return message === null || message === delivery.lastError?.message ? null : message;
}

/**
 * How the start webhook fares: `{tone, title, text, notable, retrying, canResend}`. `notable`: worth saying beside the live
 * status. `retrying`: the next try is worth a countdown. `canResend`: the user may say that n8n did not start.
 */
export function deliveryStory(session) {
  const quiet = { text: '', notable: false, retrying: false, canResend: false };
  return { ...quiet, ...(session.status === 'active' ? storyWhileActive(session) : storyAfterwards(session)) };
}

function storyWhileActive({ delivery: { state, detail, lastError }, callsMade }) {
  switch (state) {
    case 'pending':
      return { ...(lastError === null ? SENDING : unsent(lastError)), notable: true };
    case 'waiting':
      return { ...WAITING, notable: true };
    case 'unknown':
      return { ...unknown(lastError), notable: true, canResend: true };
    case 'delivered':
      return detail === 'answer_lost' ? { ...ANSWER_LOST, notable: true } : { ...DELIVERED, notable: callsMade === 0 };
    default:
      return storyAfterwards({ delivery: { state, detail, lastError } });
  }
}

function storyAfterwards({ delivery: { state, detail, lastError } }) {
  switch (state) {
    case 'failed':
      return { ...refused(lastError), notable: true };
    case 'cancelled':
      return { ...CANCELLED, notable: true };
    case 'pending':
      return { tone: 'warn', title: 'The start was not sent to n8n', text: reason(lastError) };
    case 'waiting':
      return { tone: 'neutral', title: 'n8n got the start and has not answered it' };
    case 'unknown':
      return { tone: 'warn', title: 'Nobody can tell whether n8n got the start', text: reason(lastError) };
    default:
      return { tone: 'neutral', title: (detail === 'answer_lost' ? ANSWER_LOST : DELIVERED).title };
  }
}

const SENDING = {
  tone: 'neutral',
  title: 'The start is on its way to n8n',
  text: 'n8n is asked to start the calls.',
};
const WAITING = {
  tone: 'neutral',
  title: 'n8n has the start and is working',
  text: 'Its answer is still open; that can take until the last call is made. Calls show here as n8n reports them.',
};
const DELIVERED = {
  tone: 'neutral',
  title: 'n8n took the start',
  text: 'Calls show here as n8n reports them.',
};
const ANSWER_LOST = {
  tone: 'warn',
  title: 'n8n took the start, but its answer was lost on the way',
  text: 'n8n is most likely making the calls. Nothing is sent again; progress and the end show here when n8n reports them. '
    + 'If nothing comes, look at the executions in n8n, or press Stop.',
};
const CANCELLED = {
  tone: 'neutral',
  title: 'Stopped before the start was sent',
  text: 'n8n was never called, so nobody was dialled.',
};

function unsent(lastError) {
  return {
    tone: 'warn',
    title: 'Waiting for n8n',
    text: reason(lastError),
    retrying: true,
  };
}

function unknown(lastError) {
  return {
    tone: 'warn',
    title: 'Nobody can tell whether n8n got the start',
    text: `${reason(lastError)} It is not sent again by itself, because people could be called twice. If n8n is calling, its `
      + 'next report clears this up. Look at the executions in n8n: if there is none, send it again. If you are in doubt, press Stop.',
  };
}

const REFUSED_TITLES = {
  n8n_unreachable: 'The start could not be delivered to n8n',
  n8n_refused: 'n8n refused the start',
};

function refused(lastError) {
  return { tone: 'bad', title: REFUSED_TITLES[lastError?.code] ?? 'The workflow in n8n failed', text: reason(lastError) };
}

function reason(lastError) {
  return lastError === null ? 'The reason is not known.' : asSentence(lastError.message);
}
