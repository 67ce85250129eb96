// Replies that an operator writes again and again, kept in his browser.
import { html, useState } from './shared/html.js';
import { recall, remember } from './shared/preferences.js';
import { createStore, useStore } from './shared/store.js';
import { ModalDialog } from './shared/parts/dialog.js';

const NAME = 'chat.canned';
const MOST = 50;

function read() {
  try {
    const kept = JSON.parse(recall(NAME));
    return Array.isArray(kept) ? kept.filter((text) => typeof text === 'string') : [];
  } catch {
    return [];
  }
}

const replies = createStore(read());

function keep(next) {
  replies.set(next);
  remember(NAME, next.length === 0 ? null : JSON.stringify(next));
}

/** The canned replies, to put one into the reply, keep the reply as one, or drop one. */
export function CannedReplies({ draft, onUse, onClose }) {
  const kept = useStore(replies);
  const [said, setSaid] = useState('');
  const text = draft.trim();
  const keepDraft = () => {
    keep([...kept, text]);
    setSaid('The reply is kept.');
  };
  const drop = (index) => {
    keep(kept.toSpliced(index, 1));
    setSaid('The reply is dropped.');
  };
  return html`<${ModalDialog} title="Canned replies" onClose=${onClose}>
    ${kept.length === 0 && html`<p class="muted">None yet. Write a reply that you will need again, then keep it here. They stay in this browser.</p>`}
    ${kept.length > 0 && html`<ul class="canned">${kept.map((reply, index) => html`<li key=${reply}>
      <button type="button" class="button canned-text" onClick=${() => onUse(reply)}>${reply}</button>
      <button type="button" class="button small quiet" aria-label=${`Drop: ${reply}`} onClick=${() => drop(index)}>Drop</button>
    </li>`)}</ul>`}
    <p role="status" class="muted">${said}</p>
    <div class="dialog-actions">
      ${text !== '' && !kept.includes(text) && kept.length < MOST
        && html`<button type="button" class="button" onClick=${keepDraft}>Keep what I have written</button>`}
      <button type="button" class="button" onClick=${onClose}>Close</button>
    </div>
  <//>`;
}
