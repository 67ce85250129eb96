// How the task of a conversation stands, where that needs a sentence: waited for, held up, failed; with the way out.
import { html } from './shared/html.js';
import { Icon } from './shared/icons.js';
import { span, Time, useNow } from './shared/time.js';
import { ActionButton } from './shared/parts/button.js';
import { Notice } from './shared/parts/notice.js';
import { toast } from './shared/parts/toast.js';
import { failureStory, holdUp } from './words.js';

/** `waiting`: an answer is waited for. */
export function Standing({ task, waiting, onResend }) {
  const held = holdUp(task);
  return html`
    <p class="waiting-line" role="status">${waiting && html`<${Icon} name="waiting" /> Waiting for agent response...`}</p>
    ${waiting && held !== null && html`<${HeldUp} held=${held} since=${task.waitingSince} />`}
    ${task?.state === 'failed' && html`<${Failed} failure=${task.failure} onResend=${onResend} />`}`;
}

function HeldUp({ held: { text, nextAttemptAt, attempts }, since }) {
  const now = useNow(1000);
  const left = nextAttemptAt === null ? 0 : Date.parse(nextAttemptAt) - now;
  return html`<${Notice} tone="warn" title="The message has not reached the agent yet">
    <p>${text}</p>
    <p class="tabular">
      ${left > 0 ? `Next try in ${span(Math.ceil(left / 1000) * 1000)}.` : 'Trying now …'}
      ${` Tried ${attempts === 1 ? 'once' : `${attempts} times`} so far. You can leave this page: it goes on by itself.`}
    </p>
    ${since !== null && html`<p class="muted">Waiting since <${Time} at=${since} />.</p>`}
  <//>`;
}

function Failed({ failure, onResend }) {
  const { title, text } = failureStory(failure);
  const send = async () => {
    try {
      await onResend();
      toast('The message is sent to the agent again.', 'good');
    } catch (refusal) {
      toast(refusal.message, 'bad');
    }
  };
  return html`<div role="alert"><${Notice} tone="bad" title=${title}
    actions=${html`<${ActionButton} tone="small" onAct=${send} busyText="Sending …">Send again<//>`}>
    <p>${text}</p>
  <//></div>`;
}
