// The API of the tasks as a user and as an agent's backend see it, and the chat's page as a person finds it.
import assert from 'node:assert/strict';
import { stack } from './stack.js';
import { eventually } from './wait.js';

const api = (path) => `${stack.taskChatUrl}/api${path}`;

/** The API in the name of one person. */
export function tasksOf(person) {
  const headers = { authorization: `Bearer ${person.token}`, 'content-type': 'application/json' };
  const call = async (method, path, body) => {
    const response = await fetch(api(path), { method, headers, body: body && JSON.stringify(body) });
    return { status: response.status, body: await response.json() };
  };
  const read = async (id) => (await call('GET', `/tasks/${id}`)).body;
  return {
    call,
    read,
    list: async () => (await call('GET', '/tasks')).body.items,
    /** Writes to an agent and returns the task's id. */
    async write(agentId, message, taskId) {
      const { status, body } = await call('POST', '/tasks/assign-user-task', { agentId, message, taskId });
      assert.equal(status, 201, JSON.stringify(body));
      return body.taskId;
    },
    /** Waits until the task is in this state; returns the task. */
    state: (id, state) => eventually(`the task is ${state}`, async () => {
      const { task } = await read(id);
      return task?.state === state && task;
    }),
  };
}

/** The agent's backend answers by webhook. */
export async function agentAnswers(taskId, response) {
  const answer = await fetch(api('/communications/webhook-response'), {
    method: 'POST',
    headers: { 'x-n8n-webhook-secret': stack.webhookSecret, 'content-type': 'application/json' },
    body: JSON.stringify({ taskId, response }),
  });
  assert.equal(answer.status, 200, await answer.text());
}

/** The bodies of what the agents' backend got from this person, oldest first. */
export async function messagesReceived(person) {
  const log = await (await fetch(`${stack.n8nUrl}/_log`)).json();
  return log.items.map(({ body }) => body).filter((body) => body?.userId === person.id);
}

/** The parts of the chat. */
export function chat(page) {
  const box = page.locator('.newest-box');
  return {
    box,
    input: page.getByRole('textbox', { name: /^Message to / }),
    sendButton: page.getByRole('button', { name: 'Send', exact: true }),
    waiting: box.getByText('Waiting for agent response...', { exact: true }),
    messages: box.locator('.turn.right .turn-text'),
    answers: box.locator('.turn.left .turn-text'),
    answer: (text) => box.locator('.turn.left .turn-text').getByText(text, { exact: true }),
    states: box.locator('.turn.right .badge'),
    state: (word) => box.locator('.turn.right .badge').getByText(word, { exact: true }),
    notice: box.locator('.notice'),
    resendButton: box.getByRole('button', { name: 'Send again' }),
    refreshButton: page.getByRole('button', { name: 'Refresh' }),
    testButton: page.getByRole('button', { name: 'Test response' }),
    newChat: page.getByRole('button', { name: 'New chat' }),
    newBelow: page.getByRole('button', { name: 'New answer below' }),
    live: page.locator('.connection', { hasText: 'Live' }),
    polling: page.locator('.connection', { hasText: 'Asking every second' }),
    readOut: page.locator('.chat > [aria-live]'),
    note: page.locator('.composer .field-note'),
    taskId: async () => page.locator('.task-id').innerText(),
  };
}

/** The parts of the list. */
export function taskList(page) {
  return {
    rows: page.getByRole('region', { name: 'Your tasks' }).locator('tbody tr:has(a)'),
    search: page.getByRole('searchbox', { name: 'Search tasks' }),
    drawer: page.getByRole('dialog', { name: 'Task' }),
  };
}
