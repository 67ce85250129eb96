import { html } from '../html.js';
import { createStore, useStore } from '../store.js';
import { ModalDialog } from './dialog.js';

const question = createStore(null);

/**
 * Asks before something that cannot be undone: `if (await ask({title, text, confirm: 'Send again'})) …`. `dismiss`: the other
 * button, where the word for it would be taken for the deed.
 */
export function ask({ title, text, confirm, dismiss = 'Cancel', tone = 'danger' }) {
  return new Promise((resolve) => {
    question.set({ title, text, confirm, dismiss, tone, resolve });
  });
}

/** Shows the question that `ask` put; the frame holds it once. */
export function Confirmations() {
  const asked = useStore(question);
  if (asked === null) return null;
  const answer = (yes) => {
    question.set(null);
    asked.resolve(yes);
  };
  return html`<${ModalDialog} title=${asked.title} onClose=${() => answer(false)}>
    <p>${asked.text}</p>
    <div class="dialog-actions">
      <button type="button" class="button" onClick=${() => answer(false)}>${asked.dismiss}</button>
      <button type="button" class="button ${asked.tone}" onClick=${() => answer(true)}>${asked.confirm}</button>
    </div>
  <//>`;
}
