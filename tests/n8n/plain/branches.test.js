// The branches for bad days: no leads, a lead without a number, a service that says no.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { editor, fromSwitchhook, n8nUrl, post } from '../support/setting.js';

/** As session-svc or chat-ws-svc would ask, about something that neither knows. */
async function ask(path, workflow, body) {
  const answer = await post(`${n8nUrl}/webhook/${path}`, body, fromSwitchhook);
  return { ...answer, run: await editor.runOf(workflow, (asked) => asked.sessionId === body.sessionId) };
}

const start = (sessionId) => ({ sessionId, dailyCallLimit: 10, callsMadeToday: 0 });

// At once: a request that fails is repeated for twenty seconds.
describe('bad days', { concurrency: true }, () => {
  test('a lead without a number is left out, and the others are called', async () => {
    const { status, body, run } = await ask('ai-session-nophone', 'nophoneonRespond', start('no-phone'));
    assert.deepEqual([status, body], [200, { sessionId: 'no-phone', status: 'finished', callsMade: 2, message: '2 calls made' }]);
    assert.equal(run.ran('Call the lead'), 3);
    assert.equal(run.ran('Could not call'), 1);
  });

  test('a day without leads ends the session at once', async () => {
    const { body, run } = await ask('ai-session-noleads', 'noleadsonRespond', start('no-leads'));
    assert.deepEqual(body, { sessionId: 'no-leads', status: 'finished', callsMade: 0, message: '0 calls made' });
    assert.equal(run.ran('Call the lead'), 0);
  });

  test('a day without leads is reported without a claim', async () => {
    const { body, run } = await ask('ai-session-claims-noleads', 'noleadsonClaims1', start('no-leads-to-claim'));
    assert.deepEqual(body, { message: 'Workflow was started' });
    assert.deepEqual([run.ran('Claim the call'), run.ran('Report the end'), run.ran('Report the failure')], [0, 1, 0]);
  });

  test('somebody is told when the end of a session cannot be reported', async () => {
    const { run } = await ask('ai-session-noleads', 'noleadsonRespond', start('unknown-session'));
    assert.equal(run.ran('Tell somebody'), 1);
    assert.equal(run.ran('Recorded'), 0);
  });

  test('somebody is told at once when calls cannot be claimed', async () => {
    const { run } = await ask('ai-session-claims', 'SwSessionClaims1', start('unclaimable'));
    assert.equal(run.ran('Call the lead'), 0);
    assert.equal(run.ran('Report the failure'), 1);
    assert.equal(run.ran('Tell somebody at once'), 1);
  });

  test('a visitor hears that nobody is there when the takeover fails', async () => {
    const asked = { sessionId: 'cw-0-unknownunknown1', messageId: 'msg-1', text: 'operator' };
    const { body, run } = await ask('chat-handoff', 'SwChatHandoff001', asked);
    assert.deepEqual(body, { text: 'I am sorry, I could not reach anybody. Please try again in a minute.' });
    assert.equal(run.ran('Nobody is there'), 1);
  });

  test('a handoff bot that breaks says how to reach a person', async () => {
    const asked = { sessionId: 'cw-0-unknownunknown2', messageId: 'msg-2', text: 'Hello' };
    const { body } = await ask('chat-handoff-broken', 'brokenHandoff001', asked);
    assert.deepEqual(body, { text: 'I am sorry, I cannot answer just now. Write "operator" to speak to a person.' });
  });
});
