// AI Session (Respond to Webhook): the answer of the held request ends the session.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { newPerson } from '../../browser/support/people.js';
import { sessionsOf } from '../../browser/support/sessions.js';
import { editor, n8nUrl, post, soon } from '../support/setting.js';

const WORKFLOW = 'SwSessionRespond';
const LEADS = 6;

async function stopped(sessions) {
  return soon('the session is over', async () => {
    const { session } = await sessions.status();
    return session.status === 'stopped' && session;
  });
}

async function session(limit) {
  const person = newPerson('respond');
  const sessions = sessionsOf(person);
  const { id } = await sessions.start(limit);
  const over = await stopped(sessions);
  const run = await editor.runOf(WORKFLOW, (body) => body.sessionId === id);
  return { person, sessions, over, run };
}

describe('sessions', { concurrency: true }, () => {
  test('a session makes as many calls as its limit allows', async () => {
    const { person, over, run } = await session(3);
    assert.equal(over.stopReason, 'completed');
    assert.equal(over.callsMade, 3);
    assert.equal(over.message, '3 calls made');
    assert.equal(over.delivery.state, 'delivered');
    assert.equal(over.delivery.lastError, null);
    assert.equal(run.status, 'success');
    assert.equal(run.ran('Call the lead'), 3);
    assert.deepEqual(run.outputs['Answer session-svc'].map(({ callsMade }) => callsMade), [3]);
    const [{ body, headers }] = run.outputs['Start of a session'];
    assert.equal(body.userId, person.id);
    assert.equal(body.sessionStatus, 'active');
    assert.ok(headers['idempotency-key'], 'the start has no idempotency key');
  });

  test('the report that repeats the answer changes nothing', async () => {
    const { sessions, over, run } = await session(1);
    const [reported] = run.outputs['Report the end'];
    assert.equal(reported.success, true);
    assert.equal(run.ran('Recorded'), 1);
    assert.equal(run.ran('Tell somebody'), 0);
    assert.deepEqual((await sessions.status()).session, over);
  });

  test('a session with more calls than leads ends when the leads are called', async () => {
    const { over, run } = await session(100);
    assert.equal(over.callsMade, LEADS);
    assert.equal(run.ran('Call the lead'), LEADS);
  });

  test('the second session of a day makes what the first one left', async () => {
    const person = newPerson('second');
    const sessions = sessionsOf(person);
    await sessions.start(2);
    await stopped(sessions);
    const { id } = await sessions.start(3);
    const over = await stopped(sessions);
    assert.equal(over.id, id);
    assert.equal(over.callsMade, 1);
    assert.equal((await sessions.status()).callsMadeToday, 3);
  });

  test('nobody starts the workflow without the secret', async () => {
    const answer = await post(`${n8nUrl}/webhook/ai-session`, { sessionId: 'none' });
    assert.equal(answer.status, 403);
    assert.deepEqual(await editor.runs(WORKFLOW, (body) => body.sessionId === 'none'), []);
  });
});
