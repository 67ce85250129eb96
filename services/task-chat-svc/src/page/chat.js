// The chat with one agent: every visit begins a new one.
import { html, useEffect, useState } from './shared/html.js';
import { useShortcut } from './shared/keyboard.js';
import { useStore } from './shared/store.js';
import { timeOfDay } from './shared/time.js';
import { ActionButton } from './shared/parts/button.js';
import { ask } from './shared/parts/confirm.js';
import { CurlBlock } from './shared/parts/code.js';
import { CopyButton } from './shared/parts/copy.js';
import { Newest } from './shared/parts/newest.js';
import { toast } from './shared/parts/toast.js';
import { Composer } from './composer.js';
import { Conversation } from './conversation.js';
import { Messages } from './messages.js';
import { Standing } from './standing.js';
import { chatWith, paths } from './tasks.js';
import { answers, spoken, tabTitle } from './words.js';

// By user and agent, for as long as the page is open: whoever has to sign in again finds his chat as it was.
const chats = new Map();

const LEAVE_UNSENT = {
  title: 'Begin a new chat?',
  text: 'A message here is not sent. It is gone with this chat.',
  confirm: 'Begin a new chat',
};

function notSent({ sending, problem }) {
  return sending || problem;
}

function chatOf(key, agentId) {
  if (!chats.has(key)) chats.set(key, new Conversation({ agentId }));
  return chats.get(key);
}

/** The chat of the user with the agent. */
export function Chat({ page, agentId }) {
  const key = JSON.stringify([page.user.id, agentId]);
  const [visit, setVisit] = useState(0);
  const conversation = chatOf(key, agentId);
  const startAnew = async () => {
    const { draft, entries } = conversation.store.get();
    if (entries.some(notSent) && !(await ask(LEAVE_UNSENT))) return;
    chats.delete(key);
    chatOf(key, agentId).change({ draft });
    setVisit((count) => count + 1);
  };
  return html`<${OpenChat} key=${visit} conversation=${conversation} page=${page} onNew=${startAnew} />`;
}

function OpenChat({ conversation, page, onNew }) {
  const state = useStore(conversation.store);
  const { agentId } = conversation;
  const { task, taskId, entries, draft } = state;
  const waiting = conversation.waits();
  useEffect(() => conversation.open(), [conversation]);
  useTitle(tabTitle(agentId, waiting, task, page.title), page.title);
  const own = entries.filter(({ from }) => from === 'user').length;
  const unsent = entries.find(notSent);
  const actions = (entry) => html`
    ${entry.passing && html`<button type="button" class="button small" onClick=${() => conversation.retry(entry)}>Try again</button>`}
    <button type="button" class="button small" onClick=${() => conversation.takeBack(entry)}>Edit</button>
    ${entry.problem?.code === 'unknown_agent' && html`<a class="button small" href=${chatWith()}>Choose another agent</a>`}`;
  return html`<section class="card chat" aria-labelledby="chat">
    <${Head} agentId=${agentId} onNew=${onNew} begun=${entries.length > 0} />
    <${TaskLine} conversation=${conversation} state=${state} testEndpoints=${page.settings.testEndpoints} />
    <${Newest} label="Conversation" news=${entries.length} own=${own} more="New answer below">
      ${entries.length === 0 && html`<p class="muted">Write to ${agentId}: what it answers shows here as soon as it is there.</p>`}
      <${Messages} label="Messages" agentId=${agentId} entries=${entries} task=${task} actions=${actions} />
      <${Standing} task=${task} waiting=${waiting} onResend=${() => conversation.resend()} />
    <//>
    <${ReadOut} agentId=${agentId} entries=${entries} />
    <${Composer} agentId=${agentId} text=${draft.text} onText=${(text) => conversation.change({ draft: { ...draft, text } })}
      onSend=${() => conversation.send()} sending=${unsent?.sending === true}
      held=${unsent?.problem ? 'The message above is not sent yet: try again, or edit it.' : null} />
    <${Curl} agentId=${agentId} taskId=${taskId} text=${draft.text} />
  </section>`;
}

function Head({ agentId, begun, onNew }) {
  useShortcut('n', 'New chat', onNew);
  return html`<div class="card-head">
    <h2 id="chat">Chat with ${agentId}</h2>
    <button type="button" class="button small quiet" disabled=${!begun} onClick=${onNew}>New chat</button>
    <a class="button small quiet" href=${chatWith()}>Other agents</a>
    <a class="button small quiet" href="./">All tasks</a>
  </div>`;
}

/** Which task it is, and how to look for answers by hand. */
function TaskLine({ conversation, state: { taskId, readAt, task }, testEndpoints }) {
  const [said, setSaid] = useState('');
  if (taskId === null) return html`<p class="task-line muted">A new chat: the first message makes it a task.</p>`;
  const refresh = async () => {
    const worked = await conversation.look();
    const now = conversation.store.get();
    setSaid(worked ? `At ${timeOfDay(now.readAt)}: ${answers(now.task.responses)}` : now.error.message);
  };
  const simulate = async () => {
    try {
      await conversation.simulate();
      toast('An answer was simulated.', 'good');
    } catch (refusal) {
      toast(refusal.message, 'bad');
    }
  };
  return html`<div class="task-line">
    <span class="muted">Task</span> <code class="task-id">${taskId}</code> <${CopyButton} text=${taskId} label="Copy task id" />
    <${ActionButton} tone="small quiet" onAct=${refresh} busyText="Looking …">Refresh<//>
    ${testEndpoints && html`<${ActionButton} tone="small quiet" onAct=${simulate} busyText="Simulating …">Test response<//>`}
    <span class="muted" role="status">${said}</span>
  </div>`;
}

/** Reads new answers out; what the user himself wrote he knows. */
function ReadOut({ agentId, entries }) {
  const latest = entries.findLast(({ from }) => from === 'agent');
  return html`<p class="visually-hidden" aria-live="polite">${latest && spoken(agentId, latest.text)}</p>`;
}

function Curl({ agentId, taskId, text }) {
  const message = { agentId, message: text || 'Hello' };
  return html`<details class="more"><summary>The same with curl</summary>
    <${CurlBlock} label="Send a message" method="POST" path=${paths.assign} body=${taskId === null ? message : { ...message, taskId }} />
    ${taskId !== null && html`<${CurlBlock} label="Wait for answers" path=${`${paths.answers(taskId)}&wait=25`} />
      <${CurlBlock} label="Send the last message of a failed task again" method="POST" path=${paths.resend(taskId)} />`}
  </details>`;
}

/** The tab tells how it goes, so that the page need not be in front. */
function useTitle(text, title) {
  useEffect(() => {
    document.title = text;
    return () => {
      document.title = title;
    };
  }, [text, title]);
}
