import { html } from '../html.js';

/** One name and value of a `<dl class="facts">`. */
export function Fact({ name, children }) {
  return html`<div><dt>${name}</dt><dd>${children}</dd></div>`;
}
