// The pure parts of the page's scripts, imported in the browser from where the service serves them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { assertPreloads, useModules } from '../support/modules.js';

const browser = useBrowser('taskChat');
const inPage = useModules(browser);

test('the page asks for every module of its scripts at once', () => assertPreloads(browser));

const delivery = (state) => ({ state, attempts: 1, nextAttemptAt: null, lastError: null });
const user = (changes = {}) => ({ from: 'user', delivery: delivery('delivered'), ...changes });
const agent = { from: 'agent', delivery: null };

test('where a message is follows from what came after it', async () => {
  const given = [
    [[user({ sending: true })], 0, null],
    [[user({ problem: { message: 'x' } })], 0, null],
    [[user({ delivery: null })], 0, null],
    [[user()], 0, { state: 'waiting' }],
    [[user(), agent], 0, { state: 'answered' }],
    [[user()], 0, { state: 'failed' }],
    [[user(), agent, user()], 0, { state: 'waiting' }],
    [[user(), user()], 0, { state: 'waiting' }],
    [[user({ delivery: delivery('failed') }), user(), agent], 0, { state: 'answered' }],
    [[user({ delivery: delivery('pending') }), user()], 0, { state: 'waiting' }],
    [[user(), agent, user({ sending: true })], 0, { state: 'answered' }],
  ];
  const told = await inPage('words.js', ({ messageState }, all) => all.map((one) => messageState(...one).word), given);
  assert.deepEqual(told, [
    'Sending', 'Not sent', 'Waiting', 'Waiting', 'Answered', 'Failed', 'Answered', 'Sent', 'Failed', 'Waiting', 'Answered',
  ]);
});

test('what the service has goes before what only the page has, and nothing is there twice', async () => {
  const given = [['ab', 'ab'], ['ab', 'ba'], ['abc', 'ab'], ['ab', 'abx'], ['ab', 'xb'], ['', 'x'], ['cd', 'abcx']];
  const told = await inPage('conversation.js', ({ merged }, all) => all.map(([stored, local]) => {
    const entries = (keys) => [...keys].map((key) => ({ key }));
    return merged(entries(stored), entries(local)).map(({ key }) => key).join('');
  }), given);
  assert.deepEqual(told, ['ab', 'ab', 'abc', 'abx', 'xab', 'x', 'abcdx']);
});

test('every failure has a title and a sentence, and a perhaps running agent is spoken of', async () => {
  const codes = ['no_answer', 'answer_timeout', 'agent_unreachable', 'answer_too_long', 'workflow_failed', 'n8n_refused', 'brand_new'];
  const told = await inPage('words.js', ({ failureStory }, all) => all.map((code) => failureStory({ code, message: 'Why' })), codes);
  for (const [index, { title, text }] of told.entries()) {
    assert.ok(title.length > 10 && text.startsWith('Why.'), codes[index]);
    assert.equal(text.includes('answer twice'), index < 2, codes[index]);
  }
});

test('what holds a message up is told only while it is held up', async () => {
  const held = { state: 'pending', attempts: 2, nextAttemptAt: null, lastError: { code: 'n8n_busy', message: 'Busy' } };
  const given = [
    null, { state: 'failed', delivery: held }, { state: 'waiting', delivery: { ...held, lastError: null } },
    { state: 'waiting', delivery: { ...held, state: 'delivered' } }, { state: 'waiting', delivery: held },
  ];
  const told = await inPage('words.js', ({ holdUp }, all) => all.map((task) => holdUp(task)?.text ?? null), given);
  assert.deepEqual(told, [null, null, null, null, 'Busy.']);
});

test('a long answer is read out by its beginning', async () => {
  const told = await inPage('words.js', ({ spoken }) => [spoken('echo', 'Hi'), spoken('echo', '😀'.repeat(400))]);
  assert.equal(told[0], 'echo: Hi');
  assert.equal([...told[1]].length, 'echo: '.length + 301);
});
