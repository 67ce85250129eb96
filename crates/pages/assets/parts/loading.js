import { html } from '../html.js';

/** The place of something that is loading, as large as `class` makes it. */
export function Loading({ class: extra }) {
  return html`<div class="skeleton ${extra}" role="status"><span class="visually-hidden">Loading</span></div>`;
}
