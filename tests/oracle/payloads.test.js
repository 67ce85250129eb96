// The recorded webhooks are what they claim to be: every event, and the facts of a call agree with each other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { named, recorded } from './payloads.js';

const VOICE = [
  'call_analyzed', 'call_ended', 'call_started', 'transcript_updated',
  'transfer_bridged', 'transfer_cancelled', 'transfer_ended', 'transfer_started',
];
const CHAT = ['chat_analyzed', 'chat_ended', 'chat_started', 'transcript_updated'];

const all = recorded().map(([name, text]) => {
  const body = JSON.parse(text);
  return { name, folder: name.split('/')[0], event: body.event, object: body.call ?? body.chat };
});
const eventsOf = (folder) => [...new Set(all.filter((one) => one.folder === folder).map((one) => one.event))].sort();

test('every event of calls and chats was recorded', () => {
  assert.deepEqual(eventsOf('voice-call'), VOICE);
  assert.deepEqual(eventsOf('chat'), CHAT);
  assert.deepEqual(eventsOf('web-call'), ['call_analyzed', 'call_ended', 'call_started']);
  assert.deepEqual(eventsOf('never-connected'), ['call_analyzed', 'call_ended']);
});

test('the files of a folder are about one call of one agent, which began once', () => {
  for (const folder of new Set(all.map((one) => one.folder))) {
    const facts = all.filter((one) => one.folder === folder)
      .map(({ object }) => [object.call_id ?? object.chat_id, object.agent_id, object.start_timestamp].join());
    assert.equal(new Set(facts).size, 1, `${folder}: ${facts}`);
  }
});

test('times, costs and transcripts add up', () => {
  let checked = 0;
  for (const { name, object } of all.filter((one) => one.object.end_timestamp)) {
    if (object.duration_ms) {
      assert.equal(object.end_timestamp - object.start_timestamp, object.duration_ms, name);
      assert.equal(object.transcript.trim().split('\n').length, object.transcript_object.length, name);
    }
    const cost = object.call_cost ?? object.chat_cost;
    if (cost) {
      const sum = cost.product_costs.reduce((total, one) => total + one.cost, 0);
      assert.ok(Math.abs(sum - cost.combined_cost) < 0.01, `${name}: ${sum} and ${cost.combined_cost}`);
      checked += 1;
    }
  }
  assert.ok(checked >= 8, `only ${checked} costs were looked at`);
});

test('the smallest call takes five minutes, and n8n wraps one item', () => {
  const { call } = JSON.parse(named('smallest-test-call.json'));
  assert.equal(call.end_timestamp - call.start_timestamp, 5 * 60_000);
  const items = JSON.parse(named('n8n-wrapped.json'));
  assert.equal(items.length, 1);
  assert.equal(items[0].body.call.agent_id, 'agent_demo');
});
