// The pure parts of the console's scripts, imported in the browser from where the service serves them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { assertPreloads, useModules } from '../support/modules.js';

const browser = useBrowser('chat');
const inPage = useModules(browser);

test('the page asks for every module of its scripts at once', () => assertPreloads(browser));

const bot = { sessionId: 'cw-1-bot', mode: 'bot', operator: null, connected: true, flagged: false, updatedAt: '2025-10-07T12:00:03.000Z' };
const waits = { ...bot, sessionId: 'cw-1-waits', mode: 'operator', updatedAt: '2025-10-07T12:00:01.000Z' };
const held = { ...waits, sessionId: 'cw-1-held', operator: 'Sarah', operatorId: 'u1', updatedAt: '2025-10-07T12:00:02.000Z' };
const gone = { ...bot, sessionId: 'cw-1-gone', connected: false, flagged: true, updatedAt: '2025-10-07T12:00:04.000Z' };

test('who waits comes first, then where something happened last', async () => {
  const told = await inPage('words.js', ({ inOrder }, all) => inOrder(all).map(({ sessionId }) => sessionId), [held, gone, bot, waits]);
  assert.deepEqual(told, ['cw-1-waits', 'cw-1-gone', 'cw-1-bot', 'cw-1-held']);
});

test('each filter takes what the service would give for it', async () => {
  const told = await inPage('words.js', ({ fits, FILTERS }, all) => Object.fromEntries(
    FILTERS.map(([key]) => [key, all.filter((one) => fits(one, key)).map(({ sessionId }) => sessionId.slice(5)).join()]),
  ), [bot, waits, held, gone]);
  assert.deepEqual(told, { connected: 'bot,waits,held', waiting: 'waits', operator: 'held', flagged: 'gone', all: 'bot,waits,held,gone' });
});

test('who speaks in a chat is told by a word, and whoever has it sees that it is himself', async () => {
  const told = await inPage('words.js', ({ standingOf }, all) => ['u1', 'u2'].map(
    (id) => all.map((session) => standingOf(session, { id, email: null }).word).join(),
  ), [bot, waits, held]);
  assert.deepEqual(told, ['Bot,Waiting,You', 'Bot,Waiting,Sarah']);
});

test('room is counted in characters, and told near the end only', async () => {
  const told = await inPage('words.js', ({ room }) => [
    room('x'.repeat(4500)), room('x'.repeat(4501)), room('😀'.repeat(2600)), room('😀'.repeat(5000)), room('x'.repeat(5001)), room('x'.repeat(11), 10),
  ].map((one) => one?.text ?? null));
  assert.deepEqual(told, [
    null, '499 characters left.', null, '0 characters left.', '1 too many: a message has at most 5,000 characters.',
    '1 too many: a message has at most 10 characters.',
  ]);
});

test('a transcript has each message once, in the order of the service, and what the service tells wins', async () => {
  const told = await inPage('talk.js', ({ merged }) => {
    const of = (keys) => [...keys].map((key) => ({ messageId: key.toLowerCase(), text: key }));
    return [['abc', 'cd'], ['', 'a'], ['ab', ''], ['ab', 'B']].map(([known, more]) => merged(of(known), of(more)).map(({ text }) => text).join(''));
  });
  assert.deepEqual(told, ['abcd', 'a', 'ab', 'aB']);
});
