import { html } from '../html.js';
import { createStore, useStore } from '../store.js';
import { Icon } from '../icons.js';

const SHOWN_MS = 6000;
const MOST_AT_ONCE = 4;
const ICONS = { good: 'done', bad: 'failed', neutral: 'info' };
const toasts = createStore([]);
let lastId = 0;

/** Says what came of an action. Good news goes by itself; `bad` stays until it is closed. */
export function toast(text, tone = 'neutral') {
  lastId += 1;
  const id = lastId;
  toasts.set((shown) => [...shown, { id, text, tone }].slice(-MOST_AT_ONCE));
  if (tone !== 'bad') setTimeout(() => dismiss(id), SHOWN_MS);
}

function dismiss(id) {
  toasts.set((shown) => shown.filter((one) => one.id !== id));
}

/** Where toasts appear; the frame holds it once. */
export function Toasts() {
  const shown = useStore(toasts);
  return html`<div class="toasts" role="status" aria-live="polite">
    ${shown.map(({ id, text, tone }) => html`<div key=${id} class="toast ${tone}">
      <${Icon} name=${ICONS[tone]} /><span>${text}</span>
      <button type="button" class="icon-button" aria-label="Dismiss" onClick=${() => dismiss(id)}><${Icon} name="close" /></button>
    </div>`)}
  </div>`;
}
