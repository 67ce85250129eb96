// Task Agent: the answer comes by the callback of the task.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newPerson } from '../../browser/support/people.js';
import { tasksOf } from '../../browser/support/tasks.js';
import { editor, fromSwitchhook, n8nUrl, post, soon } from '../support/setting.js';

const WORKFLOW = 'SwTaskAgent00001';

async function answered(tasks, id, count = 1) {
  return soon(`${count} answers`, async () => {
    const { body } = await tasks.call('GET', `/communications/get-responses?taskId=${id}`);
    return body.responses?.length >= count && body.responses.map(({ response }) => response);
  });
}

test('a task is answered by webhook, once', async () => {
  const person = newPerson('task');
  const tasks = tasksOf(person);
  const id = await tasks.write('concierge', 'What are your opening hours?');
  assert.deepEqual(await answered(tasks, id), ['We are open Monday to Friday, 9:00 to 17:00.']);
  const run = await editor.runOf(WORKFLOW, ({ taskId }) => taskId === id);
  assert.equal(run.status, 'success');
  assert.equal(run.trigger.body.agentId, 'concierge');
  assert.equal(run.trigger.body.userId, person.id);
  assert.equal(run.outputs['Answer the task'][0].taskId, id);
  assert.equal((await tasks.read(id)).task.state, 'answered');
});

test('each message of a task has its own answer, in order', async () => {
  const tasks = tasksOf(newPerson('talk'));
  const id = await tasks.write('concierge', 'Hello');
  await answered(tasks, id);
  assert.equal(await tasks.write('concierge', 'and now?', id), id);
  assert.deepEqual(await answered(tasks, id, 2), ['Hello! What can I do for you?', 'You wrote: and now?']);
});

test('a message that comes to n8n twice is answered once', async () => {
  const tasks = tasksOf(newPerson('twice'));
  const id = await tasks.write('concierge', 'Hello');
  const first = await answered(tasks, id);
  const { trigger } = await editor.runOf(WORKFLOW, ({ taskId }) => taskId === id);
  assert.equal((await post(`${n8nUrl}/webhook/task-agent`, trigger.body, fromSwitchhook)).status, 200);
  await soon('it ran again', async () => {
    const runs = await editor.runs(WORKFLOW, ({ taskId }) => taskId === id);
    return runs.length === 2 && runs.every(({ status }) => status === 'success');
  });
  assert.deepEqual(await answered(tasks, id), first);
});

test('an agent that breaks excuses itself', async () => {
  const tasks = tasksOf(newPerson('broken'));
  const id = await tasks.write('broken', 'Hello');
  assert.deepEqual(await answered(tasks, id), ['I am sorry, I cannot answer this just now. Please write again in a minute.']);
});

test('the output of an AI Agent is the answer', async () => {
  const tasks = tasksOf(newPerson('agent'));
  const id = await tasks.write('agent', 'Hello');
  assert.deepEqual(await answered(tasks, id), ['An agent says hello']);
});
