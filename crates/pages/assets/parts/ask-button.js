import { html } from '../html.js';
import { useBusy } from './button.js';
import { ask } from './confirm.js';

/** A button that asks before it acts; see `ask` for `question` and `ActionButton` for the rest. */
export function AskButton({ question, onAct, busyText, tone = '', children }) {
  const [busy, act] = useBusy(onAct);
  const press = async () => {
    if (await ask(question)) await act();
  };
  return html`<button type="button" class="button ${tone}" disabled=${busy} aria-busy=${busy} onClick=${press}>
    ${busy ? busyText : children}
  </button>`;
}
