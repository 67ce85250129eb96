// A person writes to an agent and sees what it answers, without a reload.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { n8nWill } from '../support/n8n.js';
import { newPerson } from '../support/people.js';
import { agentAnswers, chat, messagesReceived, tasksOf } from '../support/tasks.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('taskChat');
const ON_SCREEN_MS = 1000;

for (const [agent, how] of [['sales', 'by webhook'], ['echo', 'in the response']]) {
  test(`a message waits, and the answer shows by itself: an agent that answers ${how}`, async () => {
    const person = newPerson('chat');
    const { page, shot, close } = await browser.openAs(person, { path: `/chat?agent=${agent}` });
    const { input, waiting, messages, answers, answer, state, live, readOut, taskId } = chat(page);
    await page.getByText(`Write to ${agent}:`).waitFor();
    assert.ok(await input.evaluate((field) => field === document.activeElement));
    assert.equal(await page.title(), `Chat with ${agent} · Tasks`);
    await input.fill('What are your hours?');
    await input.press('Enter');
    await waiting.waitFor();
    await state('Waiting').waitFor();
    assert.equal(await input.inputValue(), '');
    assert.equal(await page.title(), `Waiting for ${agent} · Tasks`);
    await shot(`task-chat-waiting-${agent}`, { fullPage: false });
    await answer('You wrote: What are your hours?').waitFor();
    await state('Answered').waitFor();
    await waiting.waitFor({ state: 'detached' });
    await live.waitFor();
    assert.deepEqual(await messages.allInnerTexts(), ['What are your hours?']);
    assert.equal(await answers.count(), 1);
    assert.equal(await readOut.innerText(), `${agent}: You wrote: What are your hours?`);
    assert.equal(await page.title(), `Answer from ${agent} · Tasks`);
    await shot(`task-chat-answered-${agent}`, { fullPage: false });
    const { task } = await tasksOf(person).read(await taskId());
    assert.equal(task.state, 'answered');
    assert.equal(task.agentId, agent);
    assert.equal((await messagesReceived(person)).length, 1);
    await close();
  });
}

test('an answer is on the screen within a second of its webhook', async () => {
  const person = newPerson('quick');
  await n8nWill(person, { mode: 'silent' });
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=sales' });
  const { input, waiting, live, taskId, answer } = chat(page);
  await input.fill('Now?');
  await input.press('Enter');
  await waiting.waitFor();
  await live.waitFor();
  const id = await taskId();
  // The page notes by its own clock when the answer is there; the clock of the test is the same machine's.
  await page.evaluate(() => {
    new MutationObserver((_, observer) => {
      if (document.querySelector('.turn.left') === null) return;
      window.shownAt = Date.now();
      observer.disconnect();
    }).observe(document.body, { childList: true, subtree: true });
  });
  const sentAt = Date.now();
  await agentAnswers(id, 'Now.');
  await answer('Now.').waitFor();
  const took = (await page.evaluate(() => window.shownAt)) - sentAt;
  assert.ok(took < ON_SCREEN_MS, `${took} ms`);
  await close();
});

test('several answers of one task are all shown, in their order, and the last message is answered', async () => {
  const person = newPerson('several');
  await n8nWill(person, { mode: 'silent' });
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=sales' });
  const { input, waiting, answers, state, taskId } = chat(page);
  await input.fill('Tell me more');
  await input.press('Enter');
  await waiting.waitFor();
  const id = await taskId();
  await agentAnswers(id, 'First.');
  await state('Answered').waitFor();
  await agentAnswers(id, 'Second.');
  await eventually('both answers', async () => (await answers.count()) === 2);
  assert.deepEqual(await answers.allInnerTexts(), ['First.', 'Second.']);
  await close();
});

test('the next message belongs to the same task', async () => {
  const person = newPerson('next');
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=echo' });
  const { input, answer, messages, answers, states, waiting } = chat(page);
  await input.fill('one');
  await input.press('Enter');
  await answer('You wrote: one').waitFor();
  await input.fill('two');
  await input.press('Enter');
  await waiting.waitFor();
  await answer('You wrote: two').waitFor();
  await eventually('both answered', async () => (await states.allInnerTexts()).join() === 'Answered,Answered');
  assert.deepEqual(await messages.allInnerTexts(), ['one', 'two']);
  assert.equal(await answers.count(), 2);
  assert.equal((await tasksOf(person).list()).length, 1);
  assert.deepEqual(await page.locator('.turn-text').allInnerTexts(), ['one', 'You wrote: one', 'two', 'You wrote: two']);
  await close();
});

test('what looks like HTML is text, and line breaks are kept', async () => {
  const person = newPerson('markup');
  await n8nWill(person, { mode: 'silent' });
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=sales' });
  const { input, messages, answers, waiting, taskId } = chat(page);
  await input.fill('<b>first</b>');
  await input.press('Shift+Enter');
  await input.pressSequentially('second');
  await input.press('Enter');
  await waiting.waitFor();
  const text = '<img src=x onerror="document.title=1">\n<script>document.title = 1</script>\n\n& done';
  await agentAnswers(await taskId(), text);
  await eventually('the answer', async () => (await answers.count()) === 1);
  assert.equal(await answers.first().innerText(), text);
  assert.equal(await messages.first().innerText(), '<b>first</b>\nsecond');
  assert.equal(await page.locator('.newest-box :is(img, script, b)').count(), 0);
  await close();
});

test('every visit and "New chat" begin a new chat; the old one stays in the list', async () => {
  const person = newPerson('fresh');
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=echo' });
  const { input, answer, messages, newChat } = chat(page);
  await input.fill('one');
  await input.press('Enter');
  await answer('You wrote: one').waitFor();
  await newChat.click();
  await page.getByText('Write to echo:').waitFor();
  assert.equal(await messages.count(), 0);
  await input.fill('two');
  await input.press('Enter');
  await answer('You wrote: two').waitFor();
  await page.reload();
  await page.getByText('Write to echo:').waitFor();
  assert.equal(await messages.count(), 0);
  assert.equal((await tasksOf(person).list()).length, 2);
  await close();
});

test('"Refresh" looks at once and tells what it found', async () => {
  const person = newPerson('refresh');
  await n8nWill(person, { mode: 'silent' });
  // A stream that hangs and a clock that stands still: nothing but the button can bring the answer.
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=sales' });
  await page.route('**/api/communications/stream*', () => {});
  await page.clock.install();
  await page.clock.pauseAt(Date.now() + 60_000);
  const { input, waiting, refreshButton, taskId, answer } = chat(page);
  await input.fill('Anything new?');
  await input.press('Enter');
  await waiting.waitFor();
  await refreshButton.click();
  await page.getByText(/^At \d\d:\d\d:\d\d: 0 answers$/).waitFor();
  await agentAnswers(await taskId(), 'Yes.');
  await refreshButton.click();
  await answer('Yes.').waitFor();
  await page.getByText(/^At \d\d:\d\d:\d\d: 1 answer$/).waitFor();
  await close();
});

test('a simulated answer shows, and the button is there only where the service offers it', async () => {
  const person = newPerson('simulated');
  await n8nWill(person, { mode: 'silent', times: 2 });
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=sales' });
  const { input, waiting, testButton, answer } = chat(page);
  await input.fill('Hello');
  await input.press('Enter');
  await waiting.waitFor();
  await testButton.click();
  await answer('This is a test response').waitFor();
  await page.route('**/page.json', async (route) => {
    const response = await route.fetch();
    const facts = await response.json();
    await route.fulfill({ response, json: { ...facts, settings: { ...facts.settings, testEndpoints: false } } });
  });
  await page.reload();
  await input.fill('Hello');
  await input.press('Enter');
  await waiting.waitFor();
  await page.locator('.task-id').waitFor();
  assert.equal(await testButton.count(), 0);
  await close();
});

test('the task id can be copied, and a curl command does the same as the page', async () => {
  const person = newPerson('copy');
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=echo' });
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  const { input, answer, taskId } = chat(page);
  await input.fill('Hello');
  await page.getByText('The same with curl').click();
  await page.locator('.code', { hasText: '"agentId":"echo","message":"Hello"' }).waitFor();
  await input.press('Enter');
  await answer('You wrote: Hello').waitFor();
  await page.getByRole('button', { name: 'Copy task id' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), await taskId());
  await page.locator('.code', { hasText: `get-responses?taskId=${await taskId()}&wait=25` }).waitFor();
  await close();
});
