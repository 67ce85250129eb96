import { html, useEffect, useMemo } from './shared/html.js';
import { useStore } from './shared/store.js';
import { exact } from './shared/time.js';
import { CurlBlock } from './shared/parts/code.js';
import { CopyButton } from './shared/parts/copy.js';
import { Drawer } from './shared/parts/drawer.js';
import { Fact } from './shared/parts/fact.js';
import { LoadError } from './shared/parts/load-error.js';
import { Loading } from './shared/parts/loading.js';
import { Conversation } from './conversation.js';
import { State } from './list.js';
import { Messages } from './messages.js';
import { Standing } from './standing.js';
import { paths } from './tasks.js';

/** One task as it was and goes on; it is read here, not written to. */
export function Detail({ id, onClose }) {
  const conversation = useMemo(() => new Conversation({ taskId: id }), [id]);
  useEffect(() => conversation.open(), [conversation]);
  const state = useStore(conversation.store);
  // What was read of the task before says nothing about this one.
  const shown = state.taskId === id ? state : conversation.store.get();
  return html`<${Drawer} title="Task" openKey=${id} onClose=${onClose}>${body(shown, conversation)}<//>`;
}

function body({ task, entries, error }, conversation) {
  if (error?.status === 404) return html`<p>There is no such task, or it is not yours.</p>`;
  const failed = error !== null
    && html`<${LoadError} title="The task could not be loaded" error=${error} onRetry=${() => conversation.load()} />`;
  if (task === null) return failed || html`<${Loading} class="block" />`;
  return html`${failed}
    <p><${State} task=${task} /></p>
    <dl class="facts stacked">
      <${Fact} name="Agent">${task.agentId}<//>
      <${Fact} name="Started">${exact(task.createdAt)}<//>
      <${Fact} name="Last change">${exact(task.updatedAt)}<//>
      <${Fact} name="Task id"><code class="id">${task.taskId}</code> <${CopyButton} text=${task.taskId} label="Copy task id" /><//>
    </dl>
    <h3>Conversation</h3>
    <${Messages} label="Conversation" agentId=${task.agentId} entries=${entries} task=${task} />
    <${Standing} task=${task} waiting=${task.state === 'waiting'} onResend=${() => conversation.resend()} />
    <${CurlBlock} label="Read this task" path=${paths.task(task.taskId)} />`;
}
