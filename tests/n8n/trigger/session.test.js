// AI Session (Callback and Claims): each call is claimed, and the completion webhook ends the session.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { newPerson } from '../../browser/support/people.js';
import { claim, report, sessionsOf } from '../../browser/support/sessions.js';
import { editor, soon } from '../support/setting.js';

const WORKFLOW = 'SwSessionClaims1';
const LEADS = 6;

async function stopped(sessions) {
  return soon('the session is over', async () => {
    const { session } = await sessions.status();
    return session.status === 'stopped' && session;
  });
}

const runOf = (id) => editor.runOf(WORKFLOW, (body) => body.sessionId === id);

describe('sessions', { concurrency: true }, () => {
  test('the limit ends the calls', async () => {
    const sessions = sessionsOf(newPerson('limit'));
    const { id } = await sessions.start(4);
    const over = await stopped(sessions);
    assert.equal(over.stopReason, 'completed');
    assert.equal(over.callsMade, 4);
    assert.equal(over.message, "The day's limit is reached");
    assert.equal(over.delivery.state, 'delivered');
    const run = await runOf(id);
    assert.equal(run.status, 'success');
    assert.equal(run.ran('Call the lead'), 4);
    assert.deepEqual(run.outputs['Claim the call'].map(({ allowed }) => allowed), [true, true, true, true, false]);
    assert.equal(run.ran('Recorded'), 1);
  });

  test('the leads end the calls', async () => {
    const sessions = sessionsOf(newPerson('leads'));
    const { id } = await sessions.start(100);
    const over = await stopped(sessions);
    assert.equal(over.callsMade, LEADS);
    assert.equal(over.message, 'All leads are called');
    const run = await runOf(id);
    assert.deepEqual(run.outputs['Call the lead'].map(({ leadId }) => leadId), [1, 2, 3, 4, 5, 6].map((number) => `lead-${number}`));
    // Only what says the same as the recorded end is taken once more.
    assert.deepEqual((await report(id, { status: 'finished', callsMade: LEADS })).session, over);
  });

  test('progress is seen while the calls are made', async () => {
    const sessions = sessionsOf(newPerson('progress'));
    const { id } = await sessions.start(5);
    await stopped(sessions);
    const run = await runOf(id);
    const reported = run.outputs['Report progress'].map(({ session }) => [session.status, session.callsMade, session.message]);
    assert.deepEqual(reported, [1, 2, 3, 4, 5].map((number) => ['active', number, `Called lead-${number}`]));
  });

  test('a call that was claimed before counts once', async () => {
    const sessions = sessionsOf(newPerson('again'));
    const { id } = await sessions.start(6);
    await claim(id, 'lead-6');
    const over = await stopped(sessions);
    assert.equal(over.callsMade, LEADS);
    const run = await runOf(id);
    assert.ok(run.outputs['Claim the call'].every(({ allowed }) => allowed));
  });

  test('a user\'s Stop ends the calls', async () => {
    const sessions = sessionsOf(newPerson('stop'));
    const { id } = await sessions.start(6);
    await soon('a first call is made', async () => (await sessions.status()).session.callsMade > 0);
    await sessions.stop();
    const run = await runOf(id);
    assert.equal(run.status, 'success');
    assert.ok(run.ran('Call the lead') < LEADS, 'all leads were called');
    assert.equal(run.outputs['Claim the call'].at(-1).reason, 'stopped');
    const { session } = await sessions.status();
    assert.equal(session.stopReason, 'stopped_by_user');
    assert.equal(session.callsMade, run.ran('Call the lead'));
    assert.equal(session.message, 'Stopped by the user');
  });

  test('two users\' sessions do not share a limit', async () => {
    const both = await Promise.all(['one', 'other'].map(async (name) => {
      const sessions = sessionsOf(newPerson(name));
      await sessions.start(2);
      return (await stopped(sessions)).callsMade;
    }));
    assert.deepEqual(both, [2, 2]);
  });
});
