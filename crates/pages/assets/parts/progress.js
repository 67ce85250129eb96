import { html } from '../html.js';

/** A bar with its text, `37 of 100`. What is above the limit is shown as it is: the bar is full, the text tells. */
export function Progress({ label, value, max, tone = 'accent' }) {
  const text = `${value.toLocaleString('en')} of ${max.toLocaleString('en')}`;
  return html`<div class="progress ${tone}">
    <div class="progress-track" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax=${max}
      aria-valuenow=${Math.min(value, max)} aria-valuetext=${text}>
      <div class="progress-fill" style=${{ width: `${Math.min(100, (100 * value) / Math.max(1, max))}%` }}></div>
    </div>
    <span class="progress-text">${text}</span>
  </div>`;
}
