import { html } from '../html.js';

/** A link to an address that came from outside; an address that is no web address stays text. */
export function OutsideLink({ address, children }) {
  if (!isWebAddress(address)) return html`<code class="id">${address}</code>`;
  return html`<a href=${address} target="_blank" rel="noopener noreferrer">${children}</a>`;
}

function isWebAddress(address) {
  // Without a base only absolute addresses parse; `javascript:` and its like do too.
  return URL.canParse(address) && ['http:', 'https:'].includes(new URL(address).protocol);
}
