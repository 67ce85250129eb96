// Retell Forward: what Retell signs reaches the client whose agent it is, and nothing else does.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { newPerson } from '../../browser/support/people.js';
import { analysedCall, callsOf, newAgent } from '../../browser/support/retell.js';
import { stack } from '../../browser/support/stack.js';
import { editor, fromN8n, n8nUrl, post } from '../support/setting.js';

const WORKFLOW = 'SwRetellForward1';
const MINUTE_MS = 60_000;

/** What Retell would send, in its own layout. */
const written = (event, call) => JSON.stringify({ event, call }, null, 2);

/** Sends it as Retell does, signed. */
function deliver(event, call, options) {
  return deliverText(written(event, call), options);
}

function deliverText(body, { key = process.env.RETELL_API_KEY, at = Date.now(), tampered = false } = {}) {
  const digest = createHmac('sha256', key).update(body).update(String(at)).digest('hex');
  const headers = { 'x-retell-signature': `v=${at},d=${digest}` };
  return post(`${n8nUrl}/webhook/retell`, tampered ? body.replace('parcel', 'money') : body, headers);
}

async function client() {
  const person = newPerson('client');
  const agent = newAgent();
  const calls = callsOf(person);
  await calls.connect(agent);
  return { person, agent, calls };
}

const runOf = (call) => editor.runOf(WORKFLOW, (body) => body.call?.call_id === call.call_id);

test('a signed event is on the client\'s page', async () => {
  const { person, agent, calls } = await client();
  const call = analysedCall(agent, { transcript: 'Agent: Guten Tag, schön Sie zu hören.\nUser: 你好 — "parcel"?\n' });
  const answer = await deliver('call_analyzed', call);
  assert.equal(answer.status, 200, JSON.stringify(answer));
  assert.equal(answer.body.message, 'Call saved');
  assert.equal(answer.body.data.userId, person.id);
  assert.deepEqual((await calls.list()).map(({ callId }) => callId), [call.call_id]);
  assert.equal((await calls.read(call.call_id)).transcript, call.transcript);
  const run = await runOf(call);
  assert.equal(run.status, 'success');
  assert.equal(run.ran('Stored'), 1);
});

test('the same event again is stored once', async () => {
  const { agent, calls } = await client();
  const call = analysedCall(agent);
  assert.notEqual((await deliver('call_ended', call)).body.duplicate, true);
  assert.equal((await deliver('call_ended', call)).body.duplicate, true);
  assert.equal((await calls.list()).length, 1);
});

test('an event arrives as it was sent, to the last digit', async () => {
  const { agent } = await client();
  const facts = '"metadata": { "order": 12345678901234567890, "price": 1.10 },';
  const text = written('call_ended', analysedCall(agent)).replace('"call_id"', `${facts}\n    "call_id"`);
  assert.equal((await deliverText(text)).status, 200);
  const direct = await post(`${stack.retellUrl}/api/n8n/retell-webhook`, text, fromN8n);
  assert.equal(direct.body.duplicate, true, JSON.stringify(direct));
  const other = await post(`${stack.retellUrl}/api/n8n/retell-webhook`, text.replace('67890', '67000'), fromN8n);
  assert.notEqual(other.body.duplicate, true, 'the service does not see the difference');
});

test('a call of an agent that nobody has is held', async () => {
  const answer = await deliver('call_ended', analysedCall(newAgent()));
  assert.equal(answer.status, 202, JSON.stringify(answer));
  assert.equal(answer.body.held, true);
});

test('what Retell did not sign is refused and goes no further', async () => {
  const { agent, calls } = await client();
  const attempts = [{ key: 'key_of_somebody_else' }, { tampered: true }, { at: Date.now() - 6 * MINUTE_MS }];
  for (const attempt of attempts) {
    const call = analysedCall(agent);
    assert.equal((await deliver('call_ended', call, attempt)).status, 401, JSON.stringify(attempt));
    const run = await runOf(call);
    assert.equal(run.ran('Forward'), 0);
    assert.equal(run.ran('Refused'), 1);
  }
  const unsigned = await post(`${n8nUrl}/webhook/retell`, { event: 'call_ended', call: analysedCall(agent) });
  assert.equal(unsigned.status, 401, JSON.stringify(unsigned));
  assert.deepEqual(await calls.list(), []);
});

test('an event that the service refuses is sent again by Retell', async () => {
  const call = { ...analysedCall(newAgent()), agent_id: undefined };
  assert.equal((await deliver('call_ended', call)).status, 503);
  assert.equal((await runOf(call)).ran('Send again, please'), 1);
});
