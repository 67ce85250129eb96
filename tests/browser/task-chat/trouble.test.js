// What the page says and does while the agent's backend is away or refuses, while the stream is blocked, and while the
// service cannot be reached or refuses.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { n8nWill, whileN8nIsDown } from '../support/n8n.js';
import { newPerson } from '../support/people.js';
import { agentAnswers, chat, messagesReceived, tasksOf } from '../support/tasks.js';
import { eventually } from '../support/wait.js';

const RECOVERY_MS = 60_000;
const STREAM = '**/api/communications/stream*';
const ASSIGN = '**/api/tasks/assign-user-task';
const browser = useBrowser('taskChat');

/** Opens the chat as this person and writes. */
async function writes(person, text, { agent = 'sales', ...options } = {}) {
  const opened = await browser.openAs(person, { path: `/chat?agent=${agent}`, ...options });
  const parts = chat(opened.page);
  await parts.input.fill(text);
  await parts.input.press('Enter');
  return { ...opened, ...parts };
}

/** An error in the shape of the API. */
const problem = (status, code, error, extras = {}) => ({
  status, contentType: 'application/json', body: JSON.stringify({ success: false, error, code, ...extras }),
});

test('the agent is away: the page tells why and when the next try is, then the answer comes by itself', async () => {
  const person = newPerson('away');
  let opened;
  await whileN8nIsDown(async () => {
    opened = await writes(person, 'Are you there?');
    const { notice, waiting, shot } = opened;
    await notice.getByText('The message has not reached the agent yet').waitFor();
    await notice.getByText(/n8n cannot be reached/).waitFor();
    await notice.getByText(/(Next try in \d+ s\.|Trying now …) Tried (once|\d+ times) so far/).waitFor();
    assert.ok(await waiting.isVisible());
    await shot('task-chat-away', { fullPage: false });
  });
  const { answer, notice, close } = opened;
  await answer('You wrote: Are you there?').waitFor({ timeout: RECOVERY_MS });
  await notice.waitFor({ state: 'detached' });
  assert.equal((await messagesReceived(person)).length, 1);
  await close();
});

test('the agent refuses: the task fails with the reason, and "Send again" sends the same message', async () => {
  const person = newPerson('refused');
  await n8nWill(person, { status: 403, body: 'Authorization data is wrong!', contentType: 'text/plain' });
  const { state, notice, resendButton, answer, shot, page, close } = await writes(person, 'Let me in');
  await notice.getByText('The agent refused the message').waitFor();
  await notice.getByText(/n8n refused the request with 403: Authorization data is wrong!/).waitFor();
  await state('Failed').waitFor();
  assert.equal(await page.title(), 'Failed: sales · Tasks');
  await shot('task-chat-failed', { fullPage: false });
  await resendButton.click();
  await answer('You wrote: Let me in').waitFor();
  await state('Answered').waitFor();
  await notice.waitFor({ state: 'detached' });
  const received = await messagesReceived(person);
  assert.deepEqual(received.map(({ message }) => message), ['Let me in', 'Let me in']);
  assert.equal(received[0].messageId, received[1].messageId);
  await close();
});

test('the workflow breaks: the page has its words, and a new message can be written', async () => {
  const person = newPerson('broken');
  await n8nWill(person, { status: 500, body: { message: 'Error in workflow' } });
  const { state, notice, input, answer, states, close } = await writes(person, 'Break');
  await notice.getByText('The agent failed at its answer').waitFor();
  await notice.getByText(/Error in workflow/).waitFor();
  await state('Failed').waitFor();
  await input.fill('Again');
  await input.press('Enter');
  await answer('You wrote: Again').waitFor();
  await notice.waitFor({ state: 'detached' });
  await eventually('each message its own state', async () => (await states.allInnerTexts()).join() === 'Failed,Answered');
  await close();
});

test('an answer that comes after the failure is shown, and the task is answered', async () => {
  const person = newPerson('late');
  await n8nWill(person, { status: 403, body: 'No' });
  const { state, notice, answer, taskId, close } = await writes(person, 'Later?');
  await state('Failed').waitFor();
  await agentAnswers(await taskId(), 'Better late.');
  await answer('Better late.').waitFor();
  await state('Answered').waitFor();
  await notice.waitFor({ state: 'detached' });
  await close();
});

for (const [how, block] of [['refused', (route) => route.abort()], ['kept back by a proxy', () => {}]]) {
  test(`a stream that is ${how}: the page asks every second, shows the answer, and stops asking`, async () => {
    const person = newPerson('blocked');
    await n8nWill(person, { mode: 'silent' });
    const opened = await browser.openAs(person, { path: '/chat?agent=sales', expectErrors: true });
    const { page, shot, close } = opened;
    const { input, polling, waiting, answer, state, taskId } = chat(page);
    await page.route(STREAM, block);
    await page.clock.install();
    const asked = [];
    page.on('request', (request) => {
      if (request.method() === 'GET' && /\/api\/tasks\/task_/.test(request.url())) asked.push(Date.now());
    });
    await input.fill('Anybody?');
    await input.press('Enter');
    await waiting.waitFor();
    await polling.waitFor();
    await eventually('it asks again and again', async () => asked.length >= 3);
    const pauses = asked.slice(1).map((at, index) => at - asked[index]);
    assert.ok(pauses.every((pause) => pause > 900), `asked too often: ${pauses}`);
    await shot('task-chat-polling', { fullPage: false });
    await agentAnswers(await taskId(), 'Here.');
    await answer('Here.').waitFor();
    await state('Answered').waitFor();
    await polling.waitFor({ state: 'detached' });
    // A minute goes by on the page's clock: whatever it would still ask, it asks in that time.
    const before = asked.length;
    await page.clock.runFor(60_000);
    assert.equal(asked.length, before);
    await close();
  });
}

test('a stream that comes back takes over from asking', async () => {
  const person = newPerson('back');
  await n8nWill(person, { mode: 'silent' });
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=sales', expectErrors: true });
  const { input, polling, live, answer, taskId } = chat(page);
  await page.route(STREAM, (route) => route.abort());
  await input.fill('Hello');
  await input.press('Enter');
  await polling.waitFor();
  await page.unroute(STREAM);
  await live.waitFor({ timeout: RECOVERY_MS });
  await agentAnswers(await taskId(), 'By the stream.');
  await answer('By the stream.').waitFor();
  await close();
});

test('a connection that breaks after the message got through: trying again does not send it twice', async () => {
  const person = newPerson('twice');
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=echo', expectErrors: true });
  const { input, state, answer, answers, messages, sendButton, note } = chat(page);
  await page.route(ASSIGN, async (route) => {
    await route.fetch();
    await route.abort();
  }, { times: 1 });
  await input.fill('Once only');
  await input.press('Enter');
  await state('Not sent').waitFor();
  await page.getByText('The service cannot be reached.').waitFor();
  await input.fill('And then?');
  await sendButton.click();
  await note.getByText('The message above is not sent yet: try again, or edit it.').waitFor();
  await page.getByRole('button', { name: 'Try again' }).click();
  await answer('You wrote: Once only').waitFor();
  assert.deepEqual(await messages.allInnerTexts(), ['Once only']);
  await sendButton.click();
  await answer('You wrote: And then?').waitFor();
  assert.equal(await answers.count(), 2);
  assert.equal((await tasksOf(person).list()).length, 1);
  assert.equal((await messagesReceived(person)).length, 2);
  await close();
});

test('the same words, taken back and sent once more, are still one message', async () => {
  const person = newPerson('edited');
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=echo', expectErrors: true });
  const { input, state, answer, messages } = chat(page);
  await page.route(ASSIGN, async (route) => {
    await route.fetch();
    await route.abort();
  }, { times: 1 });
  await input.fill('Once only');
  await input.press('Enter');
  await state('Not sent').waitFor();
  await page.getByRole('button', { name: 'Edit' }).click();
  assert.equal(await messages.count(), 0);
  assert.equal(await input.inputValue(), 'Once only');
  await input.press('Enter');
  await answer('You wrote: Once only').waitFor();
  assert.equal((await messagesReceived(person)).length, 1);
  await close();
});

test('a new chat asks before it leaves a message behind that is not sent, and keeps what is being written', async () => {
  const person = newPerson('leaving');
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=echo', expectErrors: true });
  const { input, state, messages, newChat } = chat(page);
  await page.route(ASSIGN, (route) => route.abort());
  await input.fill('Not through');
  await input.press('Enter');
  await state('Not sent').waitFor();
  await input.fill('half a thou');
  await newChat.click();
  const question = page.getByRole('dialog', { name: 'Begin a new chat?' });
  await question.getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await messages.count(), 1);
  await newChat.click();
  await question.getByRole('button', { name: 'Begin a new chat' }).click();
  await page.getByText('Write to echo:').waitFor();
  assert.equal(await input.inputValue(), 'half a thou');
  await close();
});

test('without a network the message is kept, the page says so, and it goes out when the network is back', async () => {
  const person = newPerson('offline');
  const { page, shot, close } = await browser.openAs(person, { path: '/chat?agent=echo', expectErrors: true });
  const { input, state, answer } = chat(page);
  await page.context().setOffline(true);
  await input.fill('In the tunnel');
  await input.press('Enter');
  await state('Not sent').waitFor();
  await page.getByText('The service cannot be reached. Check the connection, then try again.').waitFor();
  await shot('task-chat-offline', { fullPage: false });
  await page.context().setOffline(false);
  await answer('You wrote: In the tunnel').waitFor();
  assert.equal((await messagesReceived(person)).length, 1);
  await close();
});

test('a network that fails while the agent thinks: the answer is there when it is back', async () => {
  const person = newPerson('gap');
  await n8nWill(person, { mode: 'silent' });
  const { page, waiting, live, answer, taskId, close } = await writes(person, 'Wait for me', { expectErrors: true });
  await waiting.waitFor();
  await live.waitFor();
  await page.context().setOffline(true);
  await page.locator('.connection', { hasText: /Reconnecting since \d\d:\d\d:\d\d/ }).waitFor();
  await agentAnswers(await taskId(), 'Said in the gap.');
  await page.context().setOffline(false);
  await answer('Said in the gap.').waitFor();
  await live.waitFor();
  await close();
});

for (const { name, answer: refusal, says, tryAgain } of [
  { name: '503', answer: { ...problem(503, 'unavailable', 'The database cannot be reached'), headers: { 'retry-after': '2' } },
    says: 'The database cannot be reached. Try again in 2 s.', tryAgain: true },
  { name: '403', answer: problem(403, 'forbidden', 'You may not write to this agent'), says: 'You may not write to this agent.' },
  { name: '400', answer: problem(400, 'invalid_field', 'message must not be empty', { fields: { message: 'must not be empty' } }),
    says: 'message must not be empty.' },
  { name: 'unknown_agent', answer: problem(400, 'unknown_agent', 'There is no agent of this name'), says: 'There is no agent of this name.' },
]) {
  test(`a message that is answered with ${name} is not lost, and the page tells why`, async () => {
    const person = newPerson('problem');
    const { page, shot, close } = await browser.openAs(person, { path: '/chat?agent=echo', expectErrors: true });
    const { input, state, answer } = chat(page);
    await page.route(ASSIGN, (route) => route.fulfill(refusal), { times: 1 });
    await input.fill('Precious words');
    await input.press('Enter');
    await state('Not sent').waitFor();
    await page.getByRole('alert').getByText(says).waitFor();
    await shot(`task-chat-problem-${name}`, { fullPage: false });
    assert.equal(await page.getByRole('button', { name: 'Try again' }).count(), tryAgain ? 1 : 0);
    if (name === 'unknown_agent') await page.getByRole('link', { name: 'Choose another agent' }).waitFor();
    await page.getByRole('button', { name: tryAgain ? 'Try again' : 'Edit' }).click();
    if (!tryAgain) await input.press('Enter');
    await answer('You wrote: Precious words').waitFor();
    await close();
  });
}

test('a token without the agent: the words of the service are shown', async () => {
  const person = newPerson('limited', { claims: { agents: ['echo'] } });
  const { page, state, close } = await writes(person, 'Let me', { expectErrors: true });
  await state('Not sent').waitFor();
  await page.getByRole('alert').getByText('You may not write to this agent.').waitFor();
  await close();
});

test('whoever has to sign in again finds the chat as it was', async () => {
  const person = newPerson('again');
  const { page, close } = await browser.openAs(person, { path: '/chat?agent=echo', expectErrors: true });
  const { input, answer, messages, refreshButton } = chat(page);
  await input.fill('one');
  await input.press('Enter');
  await answer('You wrote: one').waitFor();
  const signInAgain = async () => {
    await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
    await page.getByLabel('Token').fill(person.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await input.waitFor();
  };
  await input.fill('half a thou');
  await page.context().clearCookies();
  await refreshButton.click();
  await signInAgain();
  assert.equal(await input.inputValue(), 'half a thou');
  await page.context().clearCookies();
  await input.fill('two');
  await input.press('Enter');
  await signInAgain();
  await page.getByRole('button', { name: 'Try again' }).click();
  await answer('You wrote: two').waitFor();
  assert.deepEqual(await messages.allInnerTexts(), ['one', 'two']);
  assert.equal((await tasksOf(person).list()).length, 1);
  await close();
});
