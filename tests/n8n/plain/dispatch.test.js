// Dispatch with Result: a lead is dialled once, and n8n hears how the call went.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { editor, fromN8n, fromSwitchhook, n8nUrl, post } from '../support/setting.js';

const WORKFLOW = 'SwDispatch000001';
const dispatchUrl = process.env.DISPATCH_URL;
const livekit = process.env.STANDIN_LIVEKIT_URL;

/** A lead that nobody else has; the last digits say what becomes of the call. */
function newLead(ending = '1111') {
  const unique = String(Math.floor(Math.random() * 1e6)).padStart(6, '0');
  return { leadId: `lead-${randomUUID()}`, destination: `6140${unique}${ending}`, metadata: { ticket_id: 'INC-1234' } };
}

const dial = (lead) => post(`${n8nUrl}/webhook/dispatch-lead`, lead, fromSwitchhook);
const resultOf = (dispatchId) => editor.runOf(WORKFLOW, (body) => body.event === 'call_result' && body.dispatch_id === dispatchId);

/** How often the phone of a lead was dialled. */
async function dialled({ destination }) {
  const acted = await (await fetch(`${livekit}/_acted`)).json();
  return acted.items.filter((one) => one.destination === destination && one.dialled).length;
}

test('a lead is dialled, and n8n hears how the call went', async () => {
  const lead = newLead();
  const { status, body } = await dial(lead);
  assert.equal(status, 200, JSON.stringify(body));
  assert.equal(body.leadId, lead.leadId);
  assert.match(body.room, /^outbound-[0-9a-f]{10}$/);
  const known = await (await fetch(`${dispatchUrl}/dispatch/${body.dispatchId}`, { headers: fromN8n })).json();
  assert.equal(known.metadata.ticket_id, 'INC-1234');
  const run = await resultOf(body.dispatchId);
  assert.equal(run.status, 'success');
  const [result] = run.outputs['How the call went'];
  assert.deepEqual([result.leadId, result.status, result.endReason], [lead.leadId, 'ended', 'hangup']);
  assert.ok(result.seconds > 3 && result.seconds < 8, `it took ${result.seconds} s`);
  assert.equal(await dialled(lead), 1);
});

test('the same lead again is not dialled again', async () => {
  const lead = newLead();
  const [first, second] = [await dial(lead), await dial(lead)];
  assert.equal(first.status, 200, JSON.stringify(first));
  assert.equal(second.body.dispatchId, first.body.dispatchId);
  await resultOf(first.body.dispatchId);
  assert.equal(await dialled(lead), 1);
});

test('a caller id that the carrier refuses is a result like others', async () => {
  const lead = newLead('0403');
  const { body } = await dial(lead);
  const [result] = (await resultOf(body.dispatchId)).outputs['How the call went'];
  assert.deepEqual([result.status, result.endReason, result.seconds], ['failed', 'refused', null]);
});

test('what the agent reports reaches n8n', async () => {
  const { body: { dispatchId } } = await dial(newLead());
  const report = { dispatch_id: dispatchId, transcript: 'Agent: Hello.\nCallee: "Hi" & bye.' };
  assert.equal((await post(`${dispatchUrl}/agent/call-summary`, report, fromN8n)).status, 200);
  const run = await editor.runOf(WORKFLOW, (body) => body.event === 'call_summary' && body.dispatch_id === dispatchId);
  assert.deepEqual(run.outputs['What the agent reports'], [{ dispatchId, transcript: report.transcript }]);
});

test('a number that cannot be dialled is told to whoever asked', async () => {
  const { status, body } = await dial({ ...newLead(), destination: 'nobody' });
  assert.equal(status, 502);
  assert.match(body.error, /destination/);
});

test('without an agent nobody is dialled, and the lead can be tried again', async () => {
  const lead = newLead();
  const workers = (count) => post(`${livekit}/_workers`, { workers: count });
  await workers(0);
  try {
    const { status, body } = await dial(lead);
    assert.deepEqual([status, body.status], [409, 'no_worker'], JSON.stringify(body));
  } finally {
    await workers(1);
  }
  assert.equal(await dialled(lead), 0);
  assert.equal((await dial(lead)).status, 200);
});
