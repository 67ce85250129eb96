import { html, useId } from '../html.js';

/** A drop-down with a label. `options`: `[[value, text]…]`. */
export function Choice({ label, value, options, onChoose }) {
  const id = useId();
  return html`<div class="choice">
    <label for=${id}>${label}</label>
    <select id=${id} class="input" onChange=${(event) => onChoose(event.target.value)}>
      ${options.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`)}
    </select>
  </div>`;
}
