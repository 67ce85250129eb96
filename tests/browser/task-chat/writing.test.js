// The field that messages are written in, the box that they stand in, and the keyboard.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { n8nWill } from '../support/n8n.js';
import { newPerson } from '../support/people.js';
import { agentAnswers, chat, messagesReceived } from '../support/tasks.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('taskChat');
const MOST = 20_000;

test('near the end of the room a counter shows, and what is too long cannot be sent', async () => {
  const person = newPerson('long');
  const { page, shot, close } = await browser.openAs(person, { path: '/chat?agent=sales' });
  const { input, sendButton, note, messages, waiting } = chat(page);
  await note.getByText('Enter sends, Shift+Enter begins a new line.').waitFor();
  await input.fill('x'.repeat(18_999));
  await note.getByText('Enter sends, Shift+Enter begins a new line.').waitFor();
  await input.fill('x'.repeat(MOST - 150));
  await note.getByText('150 characters left.').waitFor();
  // Characters count, not the pairs that a browser keeps them in: so the service counts.
  await input.fill('😀'.repeat(MOST));
  await note.getByText('0 characters left.').waitFor();
  await input.fill(`${'😀'.repeat(MOST)}x`);
  await note.getByText('1 character too many: a message has at most 20,000.').waitFor();
  assert.equal(await input.getAttribute('aria-invalid'), 'true');
  assert.ok(await sendButton.isDisabled());
  await input.press('Enter');
  assert.equal(await messages.count(), 0);
  await shot('task-chat-too-long', { fullPage: false });
  await input.fill('x'.repeat(MOST));
  await input.press('Enter');
  await waiting.waitFor();
  assert.equal((await messages.first().innerText()).length, MOST);
  await close();
});

test('nothing but spaces is not sent', async () => {
  const person = newPerson('blank');
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=sales' });
  const { input, sendButton, note, messages } = chat(page);
  await input.fill('  \n ');
  await sendButton.click();
  await note.getByText('Write something first.').waitFor();
  assert.equal(await messages.count(), 0);
  await input.fill('words');
  await note.getByText('Enter sends').waitFor();
  await close();
});

test('a double click and a hasty Enter send one message', async () => {
  const person = newPerson('hasty');
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=echo' });
  const { input, sendButton, messages, answer } = chat(page);
  await input.fill('Hello');
  await sendButton.dblclick();
  await input.press('Enter');
  await answer('You wrote: Hello').waitFor();
  assert.equal(await messages.count(), 1);
  assert.equal((await messagesReceived(person)).length, 1);
  await close();
});

test('an Enter that chooses a character sends nothing', async () => {
  const person = newPerson('composing');
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=echo' });
  const { input, messages } = chat(page);
  await input.fill('に');
  const prevented = await input.evaluate((field) => {
    const event = new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true });
    field.dispatchEvent(event);
    return event.defaultPrevented;
  });
  assert.equal(prevented, false);
  assert.equal(await messages.count(), 0);
  assert.equal(await input.inputValue(), 'に');
  await close();
});

const LONG = Array.from({ length: 60 }, (_, line) => `Line ${line + 1}`).join('\n');

/** How far the box is from its end. */
const fromEnd = (box) => box.evaluate(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight);

test('the newest is in view, but who has scrolled up stays where he is and is told', async () => {
  const person = newPerson('scroll');
  await n8nWill(person, { mode: 'silent', times: 2 });
  const { page, shot, close } = await browser.openAs(person, { path: '/chat?agent=sales' });
  const { box, input, waiting, answers, newBelow, taskId } = chat(page);
  await input.fill('Tell me a lot');
  await input.press('Enter');
  await waiting.waitFor();
  const id = await taskId();
  await agentAnswers(id, LONG);
  await eventually('the first answer', async () => (await answers.count()) === 1);
  await eventually('its end is in view', async () => (await fromEnd(box)) < 2);
  assert.equal(await newBelow.count(), 0);
  await box.evaluate((element) => { element.scrollTop = 40; });
  await agentAnswers(id, 'And more.');
  await newBelow.waitFor();
  assert.equal(await box.evaluate(({ scrollTop }) => scrollTop), 40);
  await shot('task-chat-scrolled-up', { fullPage: false });
  await newBelow.click();
  await eventually('the end is in view', async () => (await fromEnd(box)) < 2);
  await newBelow.waitFor({ state: 'detached' });
  await box.evaluate((element) => { element.scrollTop = 0; });
  await input.fill('Thanks');
  await input.press('Enter');
  await eventually('what one writes oneself is in view', async () => (await fromEnd(box)) < 2);
  await close();
});

test('the keyboard alone writes, leaves the field, lists the keys and begins anew', async () => {
  const person = newPerson('keys');
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=echo' });
  const { input, answer, messages } = chat(page);
  const focused = () => input.evaluate((field) => field === document.activeElement);
  await input.waitFor();
  await page.keyboard.type('r?n');
  assert.equal(await input.inputValue(), 'r?n');
  await page.keyboard.press('Enter');
  await answer('You wrote: r?n').waitFor();
  await page.keyboard.press('Escape');
  assert.equal(await focused(), false);
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).getByText('Write a message').waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('r');
  await eventually('the field has the focus', focused);
  assert.equal(await input.inputValue(), '');
  await page.keyboard.press('Escape');
  await page.keyboard.press('n');
  await page.getByText('Write to echo:').waitFor();
  assert.equal(await messages.count(), 0);
  await close();
});

test('without an agent the page offers those that there are, and any id where one webhook serves all', async () => {
  const person = newPerson('choice');
  const { page, shot, close } = await browser.openAs(person, { path: '/chat' });
  await page.getByRole('heading', { name: 'Choose an agent' }).waitFor();
  assert.equal(await page.title(), 'Choose an agent · Tasks');
  await shot('task-chat-agents');
  await page.getByRole('button', { name: 'Start chat' }).click();
  await page.getByText('Enter the id of an agent.').waitFor();
  await page.getByLabel('Another agent').fill('front desk & co');
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Chat with front desk & co' }).waitFor();
  await page.getByRole('link', { name: 'Other agents' }).click();
  await page.getByRole('link', { name: 'echo' }).click();
  await page.getByRole('heading', { name: 'Chat with echo' }).waitFor();
  await close();
});

test('an agent that no webhook serves is told before anything is written', async () => {
  const person = newPerson('nobody');
  const { page, close } = await browser.openAs(person, { path: '/chat' });
  await page.route('**/page.json', async (route) => {
    const response = await route.fetch();
    const facts = await response.json();
    await route.fulfill({ response, json: { ...facts, settings: { ...facts.settings, hasDefault: false } } });
  });
  await page.reload();
  await page.getByRole('link', { name: 'echo' }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Start chat' }).count(), 0);
  await page.goto(new URL('?agent=nobody', page.url()).href);
  await page.getByText('There is no agent of this name').waitFor();
  assert.equal(await chat(page).input.count(), 0);
  await page.getByRole('link', { name: 'Choose another agent' }).click();
  await page.getByRole('link', { name: 'echo' }).waitFor();
  await close();
});

test('the chat is under the prefix of the service too', async () => {
  const person = newPerson('prefix');
  const { page, close } = await browser.openAs(person, { path: '/tasks/chat?agent=echo' });
  const { input, answer } = chat(page);
  await input.fill('Hello');
  await input.press('Enter');
  await answer('You wrote: Hello').waitFor();
  await page.getByRole('link', { name: 'All tasks' }).click();
  await page.getByRole('heading', { name: 'Your tasks' }).waitFor();
  assert.equal(new URL(page.url()).pathname, '/tasks/');
  await close();
});
