// ChatBot Operator Handoff: whoever asks for a person is told so, and the bot falls silent.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chatsOf, newOperator } from '../../browser/support/chats.js';
import { editor, soon } from '../support/setting.js';
import { Visitor } from '../support/visitor.js';

const WORKFLOW = 'SwChatHandoff001';
const CONNECTING = 'One moment, I am connecting you with one of us.';
const operator = chatsOf(newOperator('Sarah'));

const asking = ['I want a HUMAN', 'Operator please', 'can I get support?', 'May I speak to someone?'];

for (const text of asking) {
  test(`"${text}" is handed over`, () => Visitor.during('handoff', async (visitor) => {
    await visitor.write(text);
    await visitor.next('the handover', ({ type, mode }) => type === 'status' && mode === 'operator');
    assert.deepEqual(visitor.texts, [CONNECTING]);
    const run = await editor.runOf(WORKFLOW, (body) => body.sessionId === visitor.id);
    assert.equal(run.status, 'success');
    assert.equal(run.outputs['Take over'][0].mode, 'operator');
    assert.equal(run.ran('Nothing more to say'), 1);
  }));
}

test('a visitor who asks something else is answered by the bot', () => Visitor.during('handoff', async (visitor) => {
  await visitor.write('Hello, are you supportive of humanity?');
  assert.deepEqual(await visitor.hears(1), ['Hello! What can I do for you?']);
  const run = await editor.runOf(WORKFLOW, (body) => body.sessionId === visitor.id);
  assert.equal(run.ran('Take over'), 0);
  assert.ok(!visitor.frames.some(({ type }) => type === 'status'), JSON.stringify(visitor.frames));
}));

test('after the handover an operator answers and the bot is silent, until it is handed back', () => Visitor.during('handoff', async (visitor) => {
  const { id } = visitor;
  await visitor.write('operator');
  await visitor.next('the handover', ({ type, mode }) => type === 'status' && mode === 'operator');
  await soon('the chat waits in the console', async () => {
    const { body } = await operator.call('GET', '/api/sessions?state=waiting&limit=200');
    return body.sessions.some(({ sessionId }) => sessionId === id);
  });
  await visitor.write('Hello');
  const taken = await operator.call('POST', `/api/sessions/${id}/takeover`, {});
  assert.equal(taken.status, 200, JSON.stringify(taken));
  await operator.call('POST', '/api/send-message', { sessionId: id, text: 'Sarah here.', name: 'Sarah' });
  assert.deepEqual(await visitor.hears(2), [CONNECTING, 'Sarah here.']);
  assert.equal(visitor.heard[1].from, 'operator');
  assert.equal((await operator.call('POST', `/api/sessions/${id}/release`, {})).status, 200);
  await visitor.next('the bot is back', ({ type, mode }) => type === 'status' && mode === 'bot');
  await visitor.write('Hello');
  assert.deepEqual(await visitor.hears(3), [CONNECTING, 'Sarah here.', 'Hello! What can I do for you?']);
  const runs = await editor.runs(WORKFLOW, (body) => body.sessionId === id);
  assert.deepEqual(runs.map(({ trigger }) => trigger.body.text), ['operator', 'Hello']);
}));
