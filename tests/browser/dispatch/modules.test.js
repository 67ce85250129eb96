// The pure parts of the page's scripts, imported in the browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { assertPreloads, useModules } from '../support/modules.js';

const browser = useBrowser('dispatch');
const inPage = useModules(browser);

test('the page asks for every module of its scripts at once', () => assertPreloads(browser));

const START = '2026-01-01T00:00:01.000Z';
const END = '2026-01-01T00:00:09.000Z';
const dispatch = (facts) => ({
  status: 'dispatched', created_at: '2026-01-01T00:00:00.000Z', call_start: null, call_end: null, end_reason: null, job_id: null,
  agent_name: 'the-agent', record_call: false, recording: null, ...facts,
});

test('the way of a call shows what happened, what goes on and what is ahead', async () => {
  const given = [
    dispatch({}),
    dispatch({ status: 'ringing' }),
    dispatch({ status: 'answered', call_start: START }),
    dispatch({ status: 'ended', call_start: START, call_end: END, end_reason: 'hangup' }),
    dispatch({ status: 'ended', call_end: END, end_reason: 'busy' }),
    dispatch({ status: 'failed', call_end: END, end_reason: 'refused' }),
    dispatch({ status: 'no_worker' }),
  ];
  const told = await inPage('words.js', ({ stepsOf }, all) => all.map((one) => stepsOf(one).map(({ word, state }) => `${word} ${state}`).join(', ')), given);
  assert.deepEqual(told, [
    'Dispatched now, Ringing ahead, Answered ahead, Ended ahead',
    'Dispatched done, Ringing now, Answered ahead, Ended ahead',
    'Dispatched done, Ringing done, Answered now, Ended ahead',
    'Dispatched done, Ringing done, Answered done, Ended done',
    'Dispatched done, Ended done',
    'Dispatched done, Failed done',
    'Dispatched done, No worker done',
  ]);
});

test('every status, reason and recording has its words, known or not', async () => {
  const told = await inPage('words.js', ({ statusOf, reasonOf, recordingOf, storyOf }, all) => all.map((one) => [
    statusOf(one).word, reasonOf(one), recordingOf(one)?.word ?? '', storyOf(one),
  ].join(' | ')), [
    dispatch({ job_id: 'AJ_1', record_call: true }),
    dispatch({ status: 'ended', end_reason: 'cancelled', record_call: true }),
    dispatch({ status: 'ended', end_reason: 'no_answer' }),
    dispatch({ status: 'failed', end_reason: 'unknown', recording: { state: 'limit_reached' } }),
    dispatch({ status: 'brand_new', end_reason: 'also_new', recording: { state: 'just_new' } }),
  ]);
  assert.deepEqual(told, [
    'Dispatched |  | From the answer on | A worker has the job and is about to dial.',
    'Ended | Cancelled | None | It was cancelled and hung up.',
    'Ended | No answer |  | Nobody answered.',
    'Failed | Not known | Cut at the limit | Nobody can tell whether the phone rang.',
    'Brand new | Also new | Just new | Nobody answered.',
  ]);
});

test('what happened is told with what is known of it', async () => {
  const told = await inPage('words.js', ({ happeningOf }, all) => all.map((one) => Object.values(happeningOf(one)).join(' | ')), [
    { kind: 'participant_left', detail: { participant: 'sip_1', reason: 'CLIENT_INITIATED' } },
    { kind: 'ended', detail: { reason: 'busy', message: '486 Busy Here' } },
    { kind: 'track_published', detail: {} },
    { kind: 'agent_job_ended', detail: { job_id: 'AJ_1', status: 'failed', error: null, more: { a: 1 } } },
    { kind: 'room_finished', detail: null },
  ]);
  assert.deepEqual(told, [
    'Left the room | Participant: sip_1 · CLIENT_INITIATED', 'The call is over | Busy · Message: 486 Busy Here', 'Track published | ',
    'The job is over | Job id: AJ_1 · Status: failed', 'Room closed | ',
  ]);
});

test('the form becomes a request without what was left empty', async () => {
  const told = await inPage('request.js', ({ BLANK, requestOf }) => [
    requestOf(BLANK),
    requestOf({ ...BLANK, destination: ' 61402012298 ', tts: 'cartesia', preemptive_generation: 'false', metadata: '{"a":1}', record_call: true }),
    requestOf({ ...BLANK, tts: '{"provider":', metadata: 'x' }),
  ]);
  assert.deepEqual(told.slice(0, 2), [
    { body: {}, errors: {} },
    { body: { destination: '61402012298', session_options: { tts: 'cartesia', preemptive_generation: 'false' }, record_call: true, metadata: { a: 1 } }, errors: {} },
  ]);
  assert.deepEqual(Object.keys(told[2].errors).sort(), ['metadata', 'tts']);
});

test('the faults of the API find their fields', async () => {
  const told = await inPage('request.js', ({ faultsOf }) => faultsOf({
    destination: 'is required', 'session_options.llm': 'must be text', session_options: 'is too large', elsewhere: 'is odd',
  }));
  assert.deepEqual(told, { destination: 'is required', llm: 'must be text' });
});

test('only what proves that nobody was called is told as a failure', async () => {
  const told = await inPage('request.js', ({ refusalOf }, all) => all.map(([status, code, body]) => refusalOf({ status, code, message: 'Why.', body }).title), [
    [400, 'invalid_field', {}], [403, 'forbidden', {}], [502, 'livekit_error', {}], [502, 'livekit_unreachable', {}],
    [502, 'livekit_error', { outcome: 'unknown' }], [502, 'outcome_unknown', { outcome: 'unknown' }], [503, 'unavailable', {}],
    [408, 'unknown', null], [502, 'unknown', null], [200, 'unknown', null], [0, 'unreachable', null],
    [504, 'upstream_timeout', { outcome: 'unknown' }], [409, 'duplicate_dial', { dispatch_id: 'AD_1' }],
  ]);
  const [no, who] = ['The dispatch was not made', 'Nobody can tell whether the phone rings'];
  assert.deepEqual(told, [no, no, no, no, who, who, who, who, who, who, who, 'LiveKit did not answer in time', 'This number was dialled a moment ago']);
});

test('a transcript is found in whatever form an agent writes it', async () => {
  const told = await inPage('report.js', ({ turnsOf, speakerOf }) => [
    { transcript: [{ role: 'agent', text: 'Hi' }, { speaker: 'user', message: 'Yes' }, 'said by nobody'] },
    { transcript: { items: [{ role: 'assistant', content: ['Hi', { type: 'image' }, 'again'] }, { type: 'function_call', content: 'x' }, null, { role: 'user' }] } },
    { transcript: 'Agent: Hi' }, { transcript: 7 }, {},
  ].map((report) => turnsOf(report).map(({ speaker, text }) => `${speakerOf(speaker).name}: ${text}`)));
  assert.deepEqual(told, [
    ['Agent: Hi', 'Callee: Yes', 'Said: said by nobody'], ['Agent: Hi\nagain', 'Function call: x'], [], [], [],
  ]);
});

test('of two states of a dispatch the later one counts', async () => {
  const told = await inPage('dispatches.js', ({ later }) => {
    const at = (second) => ({ updated_at: `2026-01-01T00:00:0${second}.000Z`, second });
    return [later(at(1), at(2)), later(at(2), at(1)), later(undefined, at(1))].map(({ second }) => second);
  });
  assert.deepEqual(told, [2, 2, 1]);
});

test('filters become a query only where they narrow', async () => {
  const told = await inPage('filters.js', ({ queryOf }) => [
    queryOf({ account: '', status: 'all' }), queryOf({ account: 'a&b', status: 'no_worker' }), queryOf({ account: '', status: 'nonsense' }),
  ]);
  assert.deepEqual(told, ['', '?account_code=a%26b&status=no_worker', '']);
});
