// The chat with bots of the real n8n: every way in which a Webhook node answers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chatsOf, newOperator } from '../../browser/support/chats.js';
import { editor, soon } from '../support/setting.js';
import { Visitor } from '../support/visitor.js';

const operator = chatsOf(newOperator());

async function flagged(id) {
  const { body } = await operator.call('GET', `/api/sessions?state=flagged&limit=200`);
  return body.sessions.some(({ sessionId }) => sessionId === id);
}

test('the bot answers by Respond to Webhook, once and in order', () => Visitor.during('default', async (visitor) => {
  for (const text of ['Hello', 'How much does it cost?', 'When are you open?']) await visitor.write(text);
  assert.deepEqual(await visitor.hears(3), [
    'Hello! What can I do for you?', 'Plans start at 29 a month. Shall I send you the list?', 'We are open Monday to Friday, 9:00 to 17:00.',
  ]);
  const run = await editor.runOf('SwChatBot0000001', (body) => body.sessionId === visitor.id && body.text === 'Hello');
  assert.equal(run.status, 'success');
  assert.ok(run.trigger.body.messageId.startsWith('msg-'));
  assert.ok(visitor.heard.every(({ from }) => from === 'bot'));
  // Whatever had come twice would stand before this.
  await visitor.write('Bye');
  const answers = await visitor.hears(4);
  assert.equal(answers[3], 'You wrote: Bye');
  const transcript = await operator.transcript(visitor.id);
  assert.deepEqual(transcript.filter(({ from }) => from === 'bot').map(({ text }) => text), answers);
  assert.equal(transcript.filter(({ from }) => from === 'user').length, 4);
}));

test('the bot that breaks excuses itself', () => Visitor.during('broken', async (visitor) => {
  await visitor.write('Hello');
  assert.deepEqual(await visitor.hears(1), ['I am sorry, I cannot answer just now. Please try again in a minute.']);
}));

test('the output of an AI Agent is the answer', () => Visitor.during('agent', async (visitor) => {
  await visitor.write('Hello');
  assert.deepEqual(await visitor.hears(1), ['An agent says hello']);
}));

test('answers of the last node keep the order of the messages, also when the first takes longer', () => Visitor.during('last', async (visitor) => {
  const texts = ['slow one', 'second', 'slow third', 'fourth'];
  for (const text of texts) await visitor.write(text);
  assert.deepEqual(await visitor.hears(4), texts.map((text) => `Last node: ${text}`));
  const runs = await editor.runs('TestLastNode0001', (body) => body.sessionId === visitor.id);
  assert.deepEqual(runs.map(({ trigger }) => trigger.body.text), texts);
}));

test('plain text that n8n calls HTML is shown as text', () => Visitor.during('text', async (visitor) => {
  await visitor.write('x < y & "z"\nnext line 🙂');
  assert.deepEqual(await visitor.hears(1), ['Plain <b>text</b>: x < y & "z"\nnext line 🙂']);
}));

test('a streamed answer is shown piece by piece before it is complete', () => Visitor.during('stream', async (visitor) => {
  await visitor.write('three');
  const [whole] = await visitor.hears(1);
  assert.deepEqual(whole.split(/\n+/), ['One, ', 'two, ', 'and three.']);
  const [message] = visitor.heard;
  const pieces = visitor.frames.filter(({ type }) => type === 'delta');
  assert.ok(pieces.length >= 3, JSON.stringify(pieces));
  assert.deepEqual(pieces.map(({ index }) => index), pieces.map((_, index) => index));
  assert.ok(pieces.every(({ messageId }) => messageId === message.messageId));
  assert.equal(pieces.map(({ text }) => text).join(''), whole);
  const early = message.at - pieces[0].at;
  assert.ok(early > 1500, `the first piece came only ${early} ms before the end`);
  await visitor.write('four');
  assert.deepEqual(await visitor.hears(2), [whole, whole.replace('three', 'four')]);
}));

test('a stream that breaks is taken back, and the visitor hears that the bot is unavailable', () => Visitor.during('stream-error', async (visitor) => {
  await visitor.write('Hello');
  const error = await visitor.next('the error', ({ type }) => type === 'error');
  assert.equal(error.code, 'bot_unavailable');
  const deltas = visitor.frames.filter(({ type }) => type === 'delta');
  assert.equal(deltas[0].text, 'The beginning of an answer');
  assert.equal(deltas.at(-1).reset, true);
  assert.deepEqual(visitor.texts, []);
  await soon('operators see the chat flagged', () => flagged(visitor.id));
}));

test('a workflow that breaks is not asked again, and operators see the chat flagged', () => Visitor.during('error', async (visitor) => {
  await visitor.write('Hello');
  const error = await visitor.next('the error', ({ type }) => type === 'error');
  assert.equal(error.code, 'bot_unavailable');
  await soon('operators see the chat flagged', () => flagged(visitor.id));
  const run = await editor.runOf('TestError0000001', (body) => body.sessionId === visitor.id);
  assert.equal(run.status, 'error');
  assert.deepEqual(visitor.texts, []);
}));

test('messages to a workflow that is not published wait for it', () => Visitor.during('late', async (visitor) => {
  await visitor.write('first');
  await visitor.write('second');
  await visitor.next('the typing indicator', ({ type, active }) => type === 'typing' && active);
  assert.deepEqual(await editor.runs('TestUnpublished1', () => true), []);
  assert.ok(!visitor.frames.some(({ type }) => type === 'error'), JSON.stringify(visitor.frames));
  assert.equal(await flagged(visitor.id), false);
  await editor.publish('TestUnpublished1');
  assert.deepEqual(await visitor.hears(2), ['Published now: first', 'Published now: second']);
  assert.equal((await editor.runs('TestUnpublished1', () => true)).length, 2);
}));
