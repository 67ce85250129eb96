import { html } from '../html.js';
import { Icon } from '../icons.js';

const ICONS = { good: 'done', warn: 'warning', bad: 'failed', live: 'active', neutral: 'info' };

/** A state that needs a sentence or two, with the actions that help. */
export function Notice({ tone = 'neutral', title, children, actions }) {
  return html`<div class="notice ${tone}">
    <${Icon} name=${ICONS[tone]} />
    <div class="notice-body">
      <p class="notice-title">${title}</p>
      ${children}
      ${actions && html`<div class="notice-actions">${actions}</div>`}
    </div>
  </div>`;
}
