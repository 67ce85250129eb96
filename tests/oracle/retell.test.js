// The official SDK of Retell decides what a good signature is: the service takes what it signs, and nothing else.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import Retell from 'retell-sdk';
import { fresh, named, recorded } from './payloads.js';
import { stack } from './stack.js';

const MINUTE_MS = 60_000;
const DEADLINE_MS = 30_000;

/** Posts exactly these bytes. */
async function deliver(body, signature) {
  const headers = { 'content-type': 'application/json' };
  if (signature !== undefined) headers['x-retell-signature'] = signature;
  const response = await fetch(`${stack.retellUrl}/api/retell/webhook`, { method: 'POST', headers, body });
  return { status: response.status, body: await response.json() };
}

/** What the SDK signs with the clock of another moment; the SDK itself only signs for now. */
function signedAt(body, key, ms) {
  const digest = createHmac('sha256', key).update(body).update(String(ms)).digest('hex');
  return `v=${ms},d=${digest}`;
}

function accepted(answer, what) {
  assert.ok([200, 202].includes(answer.status), `${what}: ${answer.status} ${JSON.stringify(answer.body)}`);
  assert.equal(answer.body.success, true, what);
}

function refused(answer, what) {
  assert.equal(answer.status, 401, `${what}: ${JSON.stringify(answer.body)}`);
  assert.equal(answer.body.success, false, what);
  assert.equal(answer.body.code, 'unauthorized', what);
}

test('every recorded event is accepted under a signature of the SDK', async () => {
  const all = recorded();
  assert.ok(all.length >= 18, `only ${all.length} recorded webhooks were found`);
  for (const [name, text] of all) {
    const body = fresh(text);
    accepted(await deliver(body, await Retell.sign(body, stack.retellKey)), name);
  }
});

test('the same event again is answered alike and called a duplicate', async () => {
  const body = fresh(named('voice-call/call_ended.json'));
  const first = await deliver(body, await Retell.sign(body, stack.retellKey));
  const second = await deliver(body, await Retell.sign(body, stack.retellKey));
  accepted(first, 'first');
  assert.equal(second.status, first.status);
  assert.equal(second.body.duplicate, true);
});

test('letters in the signature may be of either case, as for the SDK', async () => {
  const body = fresh(named('voice-call/call_started.json'));
  const signature = (await Retell.sign(body, stack.retellKey)).toUpperCase();
  assert.equal(await Retell.verify(body, stack.retellKey, signature), true);
  accepted(await deliver(body, signature), 'upper case');
});

test('a tampered body, another key and no signature are refused', async () => {
  const body = fresh(named('voice-call/call_analyzed.json'));
  const signature = await Retell.sign(body, stack.retellKey);
  const tampered = body.replace('Helen Okafor', 'Helen Oxafor');
  assert.notEqual(tampered, body);
  assert.equal(await Retell.verify(tampered, stack.retellKey, signature), false);
  refused(await deliver(tampered, signature), 'tampered body');
  refused(await deliver(`${body} `, signature), 'one more space');
  refused(await deliver(body, await Retell.sign(body, 'key_of_somebody_else')), 'another key');
  refused(await deliver(body, undefined), 'no signature');
  for (const text of ['', 'v=1,d=2', signature.slice(0, -1), signature.replace('v=', 'w=')]) {
    assert.equal(await Retell.verify(body, stack.retellKey, text), false, text);
    refused(await deliver(body, text), text);
  }
  const answer = await deliver(body, signature);
  accepted(answer, 'the body itself');
  assert.notEqual(answer.body.duplicate, true, 'a refused request left something behind');
});

test('a body that was parsed and written again is refused', async () => {
  const body = fresh(named('voice-call/call_analyzed.json'));
  const again = JSON.stringify(JSON.parse(body));
  assert.notEqual(again, body);
  const signature = await Retell.sign(body, stack.retellKey);
  assert.equal(await Retell.verify(again, stack.retellKey, signature), false);
  refused(await deliver(again, signature), 're-serialised');
});

test('more than five minutes are too many, before and after', async () => {
  const body = fresh(named('web-call/call_ended.json'));
  const now = Date.now();
  const vector = '{"event":"call_ended","call":{"call_id":"c1"}}';
  assert.equal(
    signedAt(vector, 'key_0123456789abcdef', 1700000000000),
    'v=1700000000000,d=0633a2f1cf298204a95c5693702cf9bc17929f3820e1ff5272a18a4125d6a51b',
  );
  for (const minutes of [-6, 6, -60 * 24 * 365]) {
    const signature = signedAt(body, stack.retellKey, now + minutes * MINUTE_MS);
    assert.equal(await Retell.verify(body, stack.retellKey, signature), false, `${minutes} minutes`);
    refused(await deliver(body, signature), `${minutes} minutes`);
  }
  for (const minutes of [-4, 4]) {
    const signature = signedAt(body, stack.retellKey, now + minutes * MINUTE_MS);
    assert.equal(await Retell.verify(body, stack.retellKey, signature), true, `${minutes} minutes`);
    accepted(await deliver(body, signature), `${minutes} minutes`);
  }
});

test('the SDK accepts what our stand-in for Retell signs', async () => {
  const agent = `agent_oracle${Date.now()}`;
  const played = await fetch(`${stack.standinUrl}/_call`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ agent_id: agent, pause_ms: 0 }),
  });
  assert.equal(played.status, 202);
  const { call_id: id } = await played.json();
  const sent = await webhooksOf(id);
  for (const { text, headers, body } of sent) {
    const signature = headers['x-retell-signature'];
    assert.equal(await Retell.verify(text, stack.retellKey, signature), true, body.event);
    assert.equal(await Retell.verify(`${text} `, stack.retellKey, signature), false, body.event);
  }
});

/** What the stand-in sent about a call, once it has sent all of it. */
async function webhooksOf(id) {
  const end = Date.now() + DEADLINE_MS;
  for (;;) {
    const log = await (await fetch(`${stack.standinUrl}/_log?path=/api/retell/webhook`)).json();
    const sent = log.items.filter(({ direction, body }) => direction === 'sent' && body?.call?.call_id === id);
    if (sent.some(({ body }) => body.event === 'call_analyzed')) return sent;
    assert.ok(Date.now() < end, `only ${sent.length} webhooks of ${id} were sent`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
