// The dispatch that was sent from here: how it rings, is answered and ends.
import { html } from './shared/html.js';
import { connection } from './shared/connection.js';
import { Icon } from './shared/icons.js';
import { useStore } from './shared/store.js';
import { timeOfDay } from './shared/time.js';
import { CancelButton } from './cancel.js';
import { keyOf } from './dispatches.js';
import { Length, Problem, Standing } from './standing.js';
import { isUnderWay, reasonOf, statusOf, stepsOf, storyOf } from './words.js';

/** `dispatches.sent`, or what there is to know before. */
export function Sent({ dispatches: { sent, cancel }, settings, onOpen }) {
  if (sent === null) return html`<${Nothing} settings=${settings} />`;
  return html`<div class="flow sent">
    <h3>${sent.metadata.destination}</h3>
    <div role="status"><p class="headline"><${Standing} dispatch=${sent} /></p><p>${storyOf(sent)}</p></div>
    <${Steps} dispatch=${sent} />
    <${Problem} dispatch=${sent} />
    <${Lost} dispatch=${sent} />
    <div class="actions">
      <${CancelButton} dispatch=${sent} onCancel=${cancel} />
      <button type="button" class="button quiet" onClick=${() => onOpen(keyOf(sent))}>Details</button>
    </div>
  </div>`;
}

function Nothing({ settings: { agentName, tellsResults, workerWaitSeconds } }) {
  return html`<div class="flow">
    <h3>What happens then</h3>
    <ol class="plan">
      <li>LiveKit makes a room and asks for a worker of <code>${agentName}</code>. If none takes the job within
        ${' '}${workerWaitSeconds} s, nobody is called.</li>
      <li>The agent dials; the phone rings.</li>
      <li>When somebody answers, they talk. Here you see how long, and how it ended.</li>
      <li>${tellsResults ? 'n8n gets the result.' : 'Nobody is told: N8N_WEBHOOK_URL is not set.'}</li>
    </ol>
  </div>`;
}

function Steps({ dispatch }) {
  return html`<ol class="steps">
    ${stepsOf(dispatch).map((step) => html`<${Step} key=${step.key} step=${step} dispatch=${dispatch} />`)}
  </ol>`;
}

const ICONS = { done: 'done', now: 'active', ahead: 'waiting' };

function Step({ step: { key, word, at, state }, dispatch }) {
  const over = key === 'end' && state === 'done';
  const { icon, tone } = over ? statusOf(dispatch) : { icon: ICONS[state], tone: state };
  return html`<li class=${tone} aria-current=${state === 'now' ? 'step' : undefined}>
    <${Icon} name=${icon} />
    <span>${word}${over && `: ${reasonOf(dispatch).toLowerCase() || 'nobody was called'}`}</span>
    <span class="step-at muted tabular">${at !== null && timeOfDay(at)}${key === 'answered' && at !== null
      && html` · <${Length} dispatch=${dispatch} />`}</span>
  </li>`;
}

/** Without the stream the last that was heard may not be the last that happened. */
function Lost({ dispatch }) {
  const state = useStore(connection);
  if (state?.state !== 'reconnecting' || !isUnderWay(dispatch)) return null;
  return html`<p class="muted">The live connection is lost: the call goes on, and shows here as soon as the service answers.</p>`;
}
