// The list of the tasks and their details: what was, and what goes on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { n8nWill } from '../support/n8n.js';
import { newPerson } from '../support/people.js';
import { agentAnswers, messagesReceived, taskList, tasksOf } from '../support/tasks.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('taskChat');

/** A person with a task in each state, the waiting one the newest: `{person, ids: [waiting, failed, answered]}`. */
async function personWithTasks() {
  const person = newPerson('tasks');
  const tasks = tasksOf(person);
  await n8nWill(person, { mode: 'silent' });
  const answered = await tasks.write('sales', 'The first question');
  await agentAnswers(answered, 'The first answer');
  await tasks.state(answered, 'answered');
  await n8nWill(person, { status: 403, body: 'Go away' });
  const failed = await tasks.write('support', 'The second question');
  await tasks.state(failed, 'failed');
  await n8nWill(person, { mode: 'silent' });
  const waiting = await tasks.write('sales', 'The third question');
  return { person, ids: [waiting, failed, answered] };
}

test('without tasks the page says what to do', async () => {
  const { page, shot, close } = await browser.openAs(newPerson('none'));
  await page.getByText('No tasks yet. Start a chat: its first message becomes a task, which shows here.').waitFor();
  await shot('task-chat-list-empty');
  await page.getByRole('link', { name: 'New chat' }).click();
  await page.getByRole('heading', { name: 'Choose an agent' }).waitFor();
  await close();
});

test('the tasks are listed newest first, with their states, and change while one looks', async () => {
  const { person, ids } = await personWithTasks();
  const { page, shot, close } = await browser.openAs(person);
  const { rows } = taskList(page);
  await eventually('three rows', async () => (await rows.count()) === 3);
  assert.deepEqual(await rows.locator('.badge').allInnerTexts(), ['Waiting', 'Failed', 'Answered']);
  await shot('task-chat-list');
  await agentAnswers(ids[0], 'At last');
  await eventually('the first is answered', async () => (await rows.first().locator('.badge').innerText()) === 'Answered');
  const other = await tasksOf(person).write('echo', 'From another window');
  await page.getByRole('button', { name: 'Refresh' }).click();
  await eventually('the new one', async () => (await rows.count()) === 4);
  await tasksOf(person).state(other, 'answered');
  await close();
});

test('state and search narrow the list, and the address keeps them', async () => {
  const { person } = await personWithTasks();
  const { page, close } = await browser.openAs(person);
  const { rows, search } = taskList(page);
  await eventually('three rows', async () => (await rows.count()) === 3);
  await page.getByLabel('State').selectOption('failed');
  await eventually('the failed one', async () => (await rows.count()) === 1 && (await rows.first().innerText()).includes('second'));
  await page.reload();
  await eventually('after a reload', async () => (await rows.count()) === 1);
  await page.getByLabel('State').selectOption('all');
  await eventually('three rows again', async () => (await rows.count()) === 3);
  await search.fill('third');
  await eventually('the third', async () => (await rows.count()) === 1 && (await rows.first().innerText()).includes('third'));
  await search.fill('nothing like it');
  await page.getByText('No task fits.').waitFor();
  await close();
});

test('a task opens in a drawer that the address names, read-only, and goes on there', async () => {
  const { person, ids } = await personWithTasks();
  const { page, shot, close } = await browser.openAs(person, { path: `/?task=${ids[0]}` });
  const { drawer } = taskList(page);
  await drawer.getByText('Waiting for agent response...').waitFor();
  await drawer.getByText('The third question').waitFor();
  assert.equal(await drawer.getByRole('textbox').count(), 0);
  await agentAnswers(ids[0], 'Seen in the drawer');
  await drawer.getByText('Seen in the drawer').waitFor();
  await drawer.getByText('Waiting for agent response...').waitFor({ state: 'detached' });
  await shot('task-chat-detail', { fullPage: false });
  await page.keyboard.press('Escape');
  await drawer.waitFor({ state: 'detached' });
  assert.ok(!page.url().includes('task='));
  await page.goBack();
  await drawer.getByText('Seen in the drawer').waitFor();
  await close();
});

test('a failed task tells why in its details and is sent again from there', async () => {
  const { person, ids } = await personWithTasks();
  const { page, close } = await browser.openAs(person, { path: `/?task=${ids[1]}` });
  const { drawer } = taskList(page);
  await drawer.getByText(/n8n refused the request with 403: Go away/).waitFor();
  await drawer.getByRole('button', { name: 'Send again' }).click();
  await drawer.getByText('You wrote: The second question').waitFor();
  assert.equal((await messagesReceived(person)).filter(({ taskId }) => taskId === ids[1]).length, 2);
  await close();
});

test('another task in the drawer takes the place of the first, by the keyboard alone', async () => {
  const { person } = await personWithTasks();
  const { page, close } = await browser.openAs(person);
  const { rows, drawer, search } = taskList(page);
  await eventually('three rows', async () => (await rows.count()) === 3);
  await page.keyboard.press('/');
  assert.ok(await search.evaluate((field) => field === document.activeElement));
  await page.keyboard.press('Escape');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await drawer.getByText('The second question').waitFor();
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await drawer.getByText('The first answer').waitFor();
  assert.equal(await drawer.getByText('The second question').count(), 0);
  await close();
});

test('another user sees nothing of it, neither in the list nor by its address', async () => {
  const { ids } = await personWithTasks();
  const { page, close } = await browser.openAs(newPerson('stranger'), { path: `/?task=${ids[2]}`, expectErrors: true });
  const { rows, drawer } = taskList(page);
  const streams = [];
  page.on('request', (request) => request.url().includes('/stream') && streams.push(request.url()));
  await drawer.getByText('There is no such task, or it is not yours.').waitFor();
  await page.getByText('No tasks yet.').waitFor();
  assert.equal(await rows.count(), 0);
  assert.equal(await page.getByText('The first answer').count(), 0);
  assert.deepEqual(streams, []);
  await close();
});

test('more than one page of tasks is loaded on demand', async () => {
  const person = newPerson('many');
  const count = 52;
  await n8nWill(person, { status: 403, body: 'No', times: count });
  for (let made = 0; made < count; made += 1) await tasksOf(person).write('sales', `Question ${made}`);
  const { page, close } = await browser.openAs(person);
  const { rows } = taskList(page);
  await eventually('the first page', async () => (await rows.count()) === 50);
  await page.getByRole('button', { name: 'Load more' }).click();
  await eventually('all of them', async () => (await rows.count()) === count);
  await close();
});

test('a list that cannot be loaded says why and can be tried again', async () => {
  const { person } = await personWithTasks();
  const { page, close } = await browser.openAs(person, { path: '/chat', expectErrors: true });
  const list = (url) => url.pathname === '/api/tasks';
  const body = JSON.stringify({ success: false, error: 'The database cannot be reached', code: 'unavailable' });
  await page.route(list, (route) => route.fulfill({ status: 503, headers: { 'retry-after': '2' }, body }));
  await page.getByRole('link', { name: 'All tasks' }).click();
  await page.getByText('The database cannot be reached. Try again in 2 s.').waitFor();
  await page.unroute(list);
  await page.getByRole('button', { name: 'Try again' }).click();
  await eventually('the rows', async () => (await taskList(page).rows.count()) === 3);
  await close();
});
