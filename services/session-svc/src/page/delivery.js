import { html } from './shared/html.js';
import { span, Time, useNow } from './shared/time.js';
import { AskButton } from './shared/parts/ask-button.js';
import { Notice } from './shared/parts/notice.js';
import { toast } from './shared/parts/toast.js';
import { deliveryStory } from './words.js';

/** How the start reached n8n, where that is worth a notice; with the way out, where there is one. */
export function DeliveryNotice({ session, onResend }) {
  const story = deliveryStory(session);
  if (!story.notable) return null;
  return html`<${Notice} tone=${story.tone} title=${story.title}
    actions=${story.canResend && html`<${ResendButton} session=${session} onResend=${onResend} />`}>
    <p>${story.text}</p>
    ${story.retrying && html`<${NextTry} delivery=${session.delivery} startedAt=${session.startedAt} />`}
    ${session.delivery.state === 'waiting' && html`<p class="muted">Waiting since the start, <${Time} at=${session.startedAt} />.</p>`}
    ${session.delivery.state === 'unknown' && html`<p class="muted">Started <${Time} at=${session.startedAt} />.</p>`}
  <//>`;
}

function NextTry({ delivery, startedAt }) {
  const now = useNow(1000);
  const left = delivery.nextAttemptAt === null ? 0 : Date.parse(delivery.nextAttemptAt) - now;
  return html`<p class="tabular">
      ${left > 0 ? `Next try in ${span(Math.ceil(left / 1000) * 1000)}.` : 'Trying now …'}
      ${` Tried ${delivery.attempts === 1 ? 'once' : `${delivery.attempts} times`} so far.`}
    </p>
    <p class="muted">Waiting since <${Time} at=${startedAt} />. After 60 minutes the session is given up as failed, so that
      nobody is called hours late.</p>`;
}

const QUESTION = {
  title: 'Send the start again?',
  text: 'If n8n did start after all, two workflows will call the same people. '
    + 'Send it again only when n8n shows no execution for this session.',
  confirm: 'Send again',
};

function ResendButton({ session, onResend }) {
  const send = async () => {
    try {
      await onResend(session.id);
      toast('The start is sent to n8n again.', 'good');
    } catch (refusal) {
      toast(refusal.message, 'bad');
    }
  };
  return html`<${AskButton} question=${QUESTION} onAct=${send} busyText="Sending …">n8n did not start, send again<//>`;
}
