// What a dispatch's fields mean, in plain words. Pure: no markup, no clock, no requests.
import { asSentence } from './shared/text.js';

const STATUSES = {
  dispatched: { word: 'Dispatched', tone: 'live', icon: 'waiting' },
  ringing: { word: 'Ringing', tone: 'live', icon: 'active' },
  answered: { word: 'Answered', tone: 'live', icon: 'active' },
  ended: { word: 'Ended', tone: 'good', icon: 'done' },
  no_worker: { word: 'No worker', tone: 'warn', icon: 'warning' },
  failed: { word: 'Failed', tone: 'bad', icon: 'failed' },
};
const UNANSWERED = { word: 'Ended', tone: 'neutral', icon: 'stopped' };
const UNDER_WAY = ['dispatched', 'ringing', 'answered'];

/** The statuses that one can filter by: `[[key, word]…]`. */
export const statuses = Object.entries(STATUSES).map(([key, { word }]) => [key, word]);

/** `{word, tone, icon}` of how a dispatch stands. */
export function statusOf({ status, call_start: answered }) {
  if (status === 'ended' && answered === null) return UNANSWERED;
  return STATUSES[status] ?? { word: plain(status), tone: 'neutral', icon: 'info' };
}

/** Whether anything follows. */
export function isUnderWay({ status }) {
  return UNDER_WAY.includes(status);
}

const REASONS = {
  no_answer: 'No answer',
  busy: 'Busy',
  declined: 'Declined',
  refused: 'Refused by the carrier',
  trunk_failure: 'Trunk failure',
  hangup: 'Hung up',
  cancelled: 'Cancelled',
  agent_error: 'Agent error',
  unknown: 'Not known',
};

/** Why a call is over; nothing while it is not. */
export function reasonOf({ end_reason: reason }) {
  return reason === null ? '' : REASONS[reason] ?? plain(reason);
}

const RECORDINGS = {
  starting: { word: 'Starting', tone: 'live', icon: 'waiting' },
  active: { word: 'Recording', tone: 'live', icon: 'active' },
  ending: { word: 'Being saved', tone: 'live', icon: 'waiting' },
  complete: { word: 'Saved', tone: 'good', icon: 'done' },
  failed: { word: 'Failed', tone: 'bad', icon: 'failed' },
  aborted: { word: 'Aborted', tone: 'warn', icon: 'stopped' },
  limit_reached: { word: 'Cut at the limit', tone: 'warn', icon: 'warning' },
};
const WANTED = { word: 'From the answer on', tone: 'neutral', icon: 'waiting' };
const NEVER_BEGUN = { word: 'None', tone: 'neutral', icon: 'stopped' };

/** `{word, tone, icon}` of a call's recording; null where none was asked for. */
export function recordingOf(dispatch) {
  const { recording, record_call: wanted } = dispatch;
  if (recording === null) {
    if (!wanted) return null;
    return isUnderWay(dispatch) ? WANTED : NEVER_BEGUN;
  }
  return RECORDINGS[recording.state] ?? { word: plain(String(recording.state)), tone: 'neutral', icon: 'info' };
}

/** What is going on, or came of it, in a sentence. */
export function storyOf(dispatch) {
  const { status, job_id: job, agent_name: agent, call_start: answered, end_reason: reason } = dispatch;
  switch (status) {
    case 'dispatched':
      return job === null ? `LiveKit has the dispatch. It waits for a worker of ${agent}.` : 'A worker has the job and is about to dial.';
    case 'ringing':
      return 'The phone rings.';
    case 'answered':
      return 'Somebody has answered and talks with the agent.';
    case 'no_worker':
      return 'Nobody was called.';
    case 'failed':
      return reason === 'unknown' ? 'Nobody can tell whether the phone rang.' : 'The call did not come about.';
    default:
      if (reason === 'cancelled') return 'It was cancelled and hung up.';
      return answered === null ? 'Nobody answered.' : 'The call is over.';
  }
}

/** The way of a call: `[{key, word, at, state}…]` with `state` done, now or ahead; what never happened is left out. */
export function stepsOf(dispatch) {
  const { status, created_at: created, call_start: answered, call_end: ended } = dispatch;
  const times = { dispatched: created, answered, end: ended };
  const over = !isUnderWay(dispatch);
  const reached = over ? UNDER_WAY.length : UNDER_WAY.indexOf(status);
  const passed = answered === null ? ['dispatched'] : UNDER_WAY;
  const way = (over ? passed : UNDER_WAY).map((key) => ({ key, word: STATUSES[key].word, place: UNDER_WAY.indexOf(key) }));
  const end = { key: 'end', word: over ? statusOf(dispatch).word : STATUSES.ended.word, place: UNDER_WAY.length };
  return [...way, end].map(({ key, word, place }) => ({ key, word, at: times[key] ?? null, state: stateOf(place, reached, over) }));
}

function stateOf(place, reached, over) {
  if (place < reached || over) return 'done';
  return place === reached ? 'now' : 'ahead';
}

const HAPPENINGS = {
  room_started: 'Room opened',
  room_finished: 'Room closed',
  participant_joined: 'Joined the room',
  participant_left: 'Left the room',
  participant_connection_aborted: 'Lost the connection to the room',
  agent_job_started: 'A worker took the job',
  agent_job_ended: 'The job is over',
  ringing: 'The phone rings',
  answered: 'Answered',
  ended: 'The call is over',
  failed: 'The call failed',
  no_worker: 'No worker took the job',
  call_summary: 'The agent has reported',
  call_result_delivered: 'n8n has the result',
  call_result_lost: 'n8n did not take the result',
  call_summary_delivered: 'n8n has the report',
  call_summary_lost: 'n8n did not take the report',
};

/** `{word, text}` of something that happened: what it is, and what is known of it. */
export function happeningOf({ kind, detail }) {
  const known = Object.entries(detail ?? {}).filter(([, value]) => value !== null && typeof value !== 'object' && value !== '');
  const text = known.map(([name, value]) => (name === 'reason' ? REASONS[value] ?? value : `${plain(name)}: ${value}`));
  return { word: HAPPENINGS[kind] ?? plain(kind), text: text.join(' · ') };
}

/** What the service says in a clause, as a sentence. */
export function sentence(clause) {
  return asSentence(clause.charAt(0).toUpperCase() + clause.slice(1));
}

/** `User hangup` for `user_hangup`: a program's word as a person reads it. */
export function plain(word) {
  const text = word.replaceAll('_', ' ').trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}
