// Accessibility, light and dark, phone width and zoom.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertAccessible, assertNoSidewaysScroll } from '../support/accessibility.js';
import { PHONE, useBrowser } from '../support/browser.js';
import { n8nWill, n8nWillAgain } from '../support/n8n.js';
import { newPerson } from '../support/people.js';
import { agentAnswers, chat, taskList, tasksOf } from '../support/tasks.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('taskChat');
const RECOVERY_MS = 60_000;
const UNBROKEN = `Number 4711-${'AVeryLongNumberWithoutAnySpaceInIt'.repeat(4)}-0815`;

async function write(page, text) {
  const { input } = chat(page);
  await input.fill(text);
  await input.press('Enter');
}

/** The states of the chat: each what n8n does, and how a person gets there. */
const STATES = {
  empty: { n8n: null, reach: (page) => page.getByText('Write to sales:').waitFor() },
  waiting: {
    n8n: { mode: 'silent' },
    reach: async (page) => {
      await write(page, 'How long does it take?');
      await chat(page).waiting.waitFor();
      await chat(page).live.waitFor();
    },
  },
  answered: {
    n8n: { mode: 'silent' },
    reach: async (page) => {
      const { taskId, waiting, state, answers } = chat(page);
      await write(page, `Where is my parcel?\n${UNBROKEN}`);
      await waiting.waitFor();
      const id = await taskId();
      await agentAnswers(id, `It is on its way.\n\n${UNBROKEN}`);
      await agentAnswers(id, 'Anything else?');
      await eventually('both answers', async () => (await answers.count()) === 2);
      await state('Answered').waitFor();
    },
  },
  held: {
    n8n: { status: 503, body: 'Service Unavailable', times: 100 },
    reach: async (page) => {
      await write(page, 'Hello?');
      await chat(page).notice.getByText(/Next try in|Trying now/).waitFor();
    },
  },
  failed: {
    n8n: { status: 403, body: 'Authorization data is wrong!' },
    reach: async (page) => {
      await write(page, 'Let me in');
      await chat(page).resendButton.waitFor();
    },
  },
  unsent: {
    n8n: null,
    reach: async (page) => {
      await page.route('**/api/tasks/assign-user-task', (route) => route.abort());
      await write(page, 'In the tunnel');
      await page.getByRole('button', { name: 'Try again' }).waitFor();
    },
  },
};

/** Opens the chat of a new person in one of the states. */
async function reached(name, options) {
  const person = newPerson(name);
  const { n8n, reach } = STATES[name];
  if (n8n !== null) await n8nWill(person, n8n);
  const opened = await browser.openAs(person, { path: '/chat?agent=sales', expectErrors: name === 'unsent', ...options });
  await reach(opened.page);
  if (name !== 'held') return opened;
  // While the agent is away for one it is away for all: a service does not go on asking a dead target.
  const close = async () => {
    await n8nWillAgain(person);
    await chat(opened.page).state('Answered').waitFor({ timeout: RECOVERY_MS });
    await opened.close();
  };
  return { ...opened, close };
}

for (const colorScheme of ['light', 'dark']) {
  for (const name of Object.keys(STATES)) {
    test(`axe finds nothing: chat, ${name}, ${colorScheme}`, async () => {
      const { page, shot, close } = await reached(name, { colorScheme });
      await shot(`task-chat-${name}-${colorScheme}`, { fullPage: false });
      await page.getByText('The same with curl').click();
      await assertAccessible(page, `${name}, ${colorScheme}`);
      await close();
    });
  }

  test(`axe finds nothing: choice of agents, list, details, no tasks, signed out, ${colorScheme}`, async () => {
    const person = newPerson('axe');
    const { page, shot, close } = await browser.openAs(person, { path: '/chat', colorScheme });
    await page.getByRole('heading', { name: 'Choose an agent' }).waitFor();
    await assertAccessible(page, `agents, ${colorScheme}`);
    await page.getByRole('link', { name: 'All tasks' }).click();
    await page.getByText('No tasks yet.').waitFor();
    await assertAccessible(page, `no tasks, ${colorScheme}`);
    await n8nWill(person, { status: 403, body: 'No' });
    const failed = await tasksOf(person).write('sales', `Where is my parcel? ${UNBROKEN}`);
    await tasksOf(person).state(failed, 'failed');
    await tasksOf(person).state(await tasksOf(person).write('echo', 'Hello'), 'answered');
    await page.getByRole('button', { name: 'Refresh' }).click();
    const { rows, drawer } = taskList(page);
    await eventually('two rows', async () => (await rows.count()) === 2);
    await page.getByText('The same with curl').click();
    await assertAccessible(page, `list, ${colorScheme}`);
    await rows.nth(1).click();
    await drawer.getByRole('button', { name: 'Send again' }).waitFor();
    await assertAccessible(page, `details, ${colorScheme}`);
    await shot(`task-chat-details-${colorScheme}`, { fullPage: false });
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
    await assertAccessible(page, `signed out, ${colorScheme}`);
    await close();
  });
}

for (const name of Object.keys(STATES)) {
  test(`a phone of 360 px needs no sideways scrolling: chat, ${name}`, async () => {
    const { page, shot, close } = await reached(name, { viewport: PHONE });
    await shot(`task-chat-${name}-phone`, { fullPage: false });
    await page.getByText('The same with curl').click();
    await assertNoSidewaysScroll(page, name);
    await assertAccessible(page, `${name}, phone`);
    await close();
  });
}

test('on a phone the list fits, and the details cover the page and give it back', async () => {
  const person = newPerson('phone');
  await n8nWill(person, { status: 403, body: 'No' });
  const id = await tasksOf(person).write(`agent-${'with-a-long-name-'.repeat(5)}`, UNBROKEN);
  await tasksOf(person).state(id, 'failed');
  await tasksOf(person).write('echo', 'Hello');
  const { page, shot, close } = await browser.openAs(person, { viewport: PHONE });
  const { rows, drawer } = taskList(page);
  await eventually('two rows', async () => (await rows.count()) === 2);
  await assertNoSidewaysScroll(page, 'list');
  await assertAccessible(page, 'list, phone');
  await shot('task-chat-list-phone');
  await rows.nth(1).click();
  await drawer.getByRole('button', { name: 'Send again' }).waitFor();
  assert.equal((await drawer.boundingBox()).width, PHONE.width);
  await assertNoSidewaysScroll(page, 'details');
  await shot('task-chat-details-phone', { fullPage: false });
  await page.keyboard.press('Escape');
  await drawer.waitFor({ state: 'detached' });
  await close();
});

test('a zoom of 200 % needs no sideways scrolling, and leaves room to read and to write', async () => {
  // Zooming halves the width and the height that the page has, in its own pixels.
  const { page, shot, close } = await reached('answered', { viewport: { width: 640, height: 450 } });
  await assertNoSidewaysScroll(page, '200 %');
  assert.ok((await chat(page).box.boundingBox()).height >= 200);
  await chat(page).input.scrollIntoViewIfNeeded();
  await shot('task-chat-zoom-200');
  await close();
});
