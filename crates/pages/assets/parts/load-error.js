import { html } from '../html.js';
import { ActionButton } from './button.js';
import { Notice } from './notice.js';

/** Something that could not be loaded: what, why, and a way to try again. `onRetry` returns a promise. */
export function LoadError({ title = 'This could not be loaded', error, onRetry }) {
  return html`<${Notice} tone="bad" title=${title}
    actions=${html`<${ActionButton} tone="small" onAct=${onRetry} busyText="Trying …">Try again<//>`}>
    <p>${error.message}</p>
  <//>`;
}
