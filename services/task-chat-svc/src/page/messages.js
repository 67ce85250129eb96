// The messages and answers of a conversation, with where each message is. Refuses to know what can be done about it.
import { html } from './shared/html.js';
import { asSentence } from './shared/text.js';
import { Badge } from './shared/parts/badge.js';
import { Transcript } from './shared/parts/transcript.js';
import { messageState } from './words.js';

/** `actions(entry)`: what can be done about a message that is not sent; nothing where it is left out. */
export function Messages({ label, agentId, entries, task, actions = () => null }) {
  const speakerOf = (from) => (from === 'user' ? { name: 'You', side: 'right' } : { name: agentId, side: 'left' });
  const turns = entries.map((entry, index) => ({
    key: entry.key,
    speaker: entry.from,
    text: entry.text,
    at: entry.at,
    note: entry.from === 'user' && html`<${Where} state=${messageState(entries, index, task)} entry=${entry} actions=${actions(entry)} />`,
  }));
  return html`<${Transcript} label=${label} turns=${turns} speakerOf=${speakerOf} />`;
}

function Where({ state: { word, tone, icon }, entry: { problem }, actions }) {
  return html`<${Badge} tone=${tone} icon=${icon}>${word}<//>
    ${problem && html`<p role="alert">${asSentence(problem.message)}</p>`}
    ${problem && actions && html`<div class="turn-actions">${actions}</div>`}`;
}
