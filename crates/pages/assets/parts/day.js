import { html, useId } from '../html.js';

/** A calendar day with a label; `value` is `2025-10-07`, or empty for any. */
export function Day({ label, value, onChoose }) {
  const id = useId();
  return html`<div class="choice">
    <label for=${id}>${label}</label>
    <input id=${id} class="input" type="date" value=${value} onChange=${(event) => onChoose(event.target.value)} />
  </div>`;
}
