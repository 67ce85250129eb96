// The pure parts of the page's scripts, imported in the browser from where the service serves them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { assertPreloads, useModules } from '../support/modules.js';

const browser = useBrowser();
const inPage = useModules(browser);

function session(changes, delivery = {}) {
  return {
    id: 'x', status: 'active', stopReason: null, dailyCallLimit: 10, callsMade: 0, callsMadeToday: 0, message: null,
    startedAt: '2025-10-07T12:00:00.000Z', stoppedAt: null, ...changes,
    delivery: { state: 'delivered', detail: null, attempts: 1, nextAttemptAt: null, lastError: null, ...delivery },
  };
}

test('every state of the delivery has a sentence, in progress and afterwards', async () => {
  const error = { code: 'n8n_unreachable', message: 'Connection refused.' };
  const states = ['pending', 'waiting', 'delivered', 'unknown', 'failed', 'cancelled'];
  const sessions = states.flatMap((state) => [null, error].flatMap((lastError) => [
    session({}, { state, lastError }),
    session({ status: 'stopped', stopReason: 'failed' }, { state, lastError }),
  ]));
  const stories = await inPage('words.js', ({ deliveryStory }, all) => all.map(deliveryStory), sessions);
  for (const [index, { title, tone, text, canResend }] of stories.entries()) {
    const { status, delivery } = sessions[index];
    const which = `${status} ${delivery.state} ${delivery.lastError?.code}`;
    assert.ok(title.length > 10 && tone, which);
    assert.ok(!`${title} ${text}`.includes('undefined'), which);
    assert.equal(canResend, status === 'active' && delivery.state === 'unknown', which);
  }
});

test('a lost answer is told apart from a plain delivery', async () => {
  const given = [session({}, { detail: 'answer_lost' }), session({}), session({ callsMade: 1 })];
  const stories = await inPage('words.js', ({ deliveryStory }, all) => all.map(deliveryStory), given);
  assert.match(stories[0].title, /answer was lost/);
  assert.deepEqual(stories.map(({ notable }) => notable), [true, true, false]);
});

test('endings are told with their count', async () => {
  const given = [['completed', 100], ['stopped_by_user', 1], ['failed', 0], ['expired', 1200]]
    .map(([stopReason, callsMade]) => session({ status: 'stopped', stopReason, callsMade }));
  assert.deepEqual(await inPage('words.js', ({ ending }, all) => all.map(ending), given), [
    'Session completed: 100 calls made',
    'Session stopped: 1 call made',
    'Session failed: 0 calls made',
    'Session expired: 1,200 calls made',
  ]);
});

test('a stream is read the same wherever its chunks end', async () => {
  const text = ': beat\r\nevent: session\r\nid: 7\r\ndata: {"a":\r\ndata: 1}\r\n\r\nid: 8\ndata:x\n\n: beat\n\n';
  const runs = await inPage('shared/stream.js', ({ EventParser }, whole) => {
    const read = (chunks) => {
      const parser = new EventParser();
      return chunks.flatMap((chunk) => parser.push(chunk));
    };
    const cuts = [...whole].map((_, at) => read([whole.slice(0, at), whole.slice(at)]));
    return [read([whole]), read([...whole]), ...cuts];
  }, text);
  const expected = [{ event: 'session', id: '7', data: '{"a":\n1}' }, { event: 'message', id: '8', data: 'x' }];
  for (const run of runs) assert.deepEqual(run, expected);
});

test('times are told in one unit, durations as a clock', async () => {
  const told = await inPage('shared/time.js', ({ duration, relative }) => {
    const at = Date.parse('2025-10-07T12:00:00.000Z');
    const ago = (ms) => relative('2025-10-07T12:00:00.000Z', at + ms);
    return [ago(0), ago(-20_000), ago(59_000), ago(61_000), ago(7_200_000), ago(90_000_000), duration(7000), duration(3_753_000)];
  });
  assert.deepEqual(told, ['just now', 'in 20 s', '59 s ago', '1 min ago', '2 h ago', '1 day ago', '0:07', '1:02:33']);
});

test('a curl command survives a quote in what it sends', async () => {
  const command = await inPage('shared/parts/code.js', ({ curl }) => curl('POST', '/x', { note: "it's" }));
  assert.ok(command.includes(`-d '{"note":"it'\\''s"}'`), command);
  assert.ok(command.includes('-H "Authorization: Bearer $TOKEN"'), command);
});

test('the page asks for every module of its scripts at once', () => assertPreloads(browser));
