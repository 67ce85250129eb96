// The choice of an agent to write to.
import { html, useEffect, useState } from './shared/html.js';
import { Field } from './shared/parts/field.js';
import { Notice } from './shared/parts/notice.js';
import { chatWith } from './tasks.js';

const MAX_CHARS = 128;

/** `settings`: the agents with a webhook of their own, and whether one serves all others. */
export function Agents({ page: { settings, title } }) {
  const [typed, setTyped] = useState('');
  const [error, setError] = useState(null);
  useEffect(() => {
    document.title = `Choose an agent · ${title}`;
  }, [title]);
  const open = (event) => {
    event.preventDefault();
    const agentId = typed.trim();
    if (agentId === '') setError('Enter the id of an agent.');
    else if ([...agentId].length > MAX_CHARS) setError(`An id has at most ${MAX_CHARS} characters.`);
    else location.assign(chatWith(agentId));
  };
  return html`<section class="card agents" aria-labelledby="agents">
    <div class="card-head"><h2 id="agents">Choose an agent</h2><a class="button small quiet" href="./">All tasks</a></div>
    ${settings.agents.length > 0 && html`<ul class="agent-list">
      ${settings.agents.map((agentId) => html`<li key=${agentId}><a class="button" href=${chatWith(agentId)}>${agentId}</a></li>`)}
    </ul>`}
    ${settings.hasDefault && html`<form class="inline-form" noValidate onSubmit=${open}>
      <${Field} label=${settings.agents.length > 0 ? 'Another agent' : 'Agent'} name="agent" value=${typed} error=${error} spellcheck="false"
        hint="Any id: the default webhook gets what no other one is for."
        onInput=${(event) => { setTyped(event.target.value); setError(null); }} />
      <button type="submit" class="button primary">Start chat</button>
    </form>`}
  </section>`;
}

/** Whether this installation has a webhook for the agent. */
export function serves({ agents, hasDefault }, agentId) {
  return hasDefault || agents.includes(agentId);
}

/** What stands in the place of a chat with an agent that is not there. */
export function UnknownAgent({ agentId }) {
  return html`<${Notice} tone="bad" title="There is no agent of this name"
    actions=${html`<a class="button small" href=${chatWith()}>Choose another agent</a>`}>
    <p>No webhook is set up for ${agentId}. Check the link that brought you here.</p>
  <//>`;
}
