// The chat with n8n's Chat Trigger (N8N_CHAT_FORMAT=chat_trigger).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { editor } from '../support/setting.js';
import { Visitor } from '../support/visitor.js';

test('the last node answers, in the order of the messages', () => Visitor.during('default', async (visitor) => {
  for (const text of ['one', 'two', 'three']) await visitor.write(text);
  const expected = ['one', 'two', 'three'].map((text) => `You said ${text} (sendMessage, ${visitor.id})`);
  assert.deepEqual(await visitor.hears(3), expected);
  const run = await editor.runOf('TestTriggerLast1', ({ sessionId, chatInput }) => sessionId === visitor.id && chatInput === 'two');
  assert.equal(run.status, 'success');
  assert.equal(run.trigger.action, 'sendMessage');
}));

test('Respond to Webhook answers', () => Visitor.during('respond', async (visitor) => {
  await visitor.write('Hello');
  assert.deepEqual(await visitor.hears(1), ['Responded to Hello']);
  assert.equal((await editor.runOf('TestTriggerResp1', ({ sessionId }) => sessionId === visitor.id)).status, 'success');
}));

test('a streamed answer is shown piece by piece before it is complete', () => Visitor.during('stream', async (visitor) => {
  await visitor.write('Hello');
  const [whole] = await visitor.hears(1);
  assert.deepEqual(whole.split(/\n+/), ['Streamed to ', 'Hello']);
  const pieces = visitor.frames.filter(({ type }) => type === 'delta');
  assert.equal(pieces.map(({ text }) => text).join(''), whole);
  assert.ok(visitor.heard[0].at - pieces[0].at > 700, 'the first piece came with the end');
  await visitor.write('Bye');
  assert.deepEqual(await visitor.hears(2), [whole, whole.replace('Hello', 'Bye')]);
}));
