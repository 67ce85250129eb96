import { html } from './shared/html.js';
import { exact, timeOfDay } from './shared/time.js';
import { happeningOf } from './words.js';

/** What happened in a call, oldest first. */
export function Timeline({ events }) {
  if (events.length === 0) return html`<p class="muted">Nothing yet.</p>`;
  return html`<ol class="timeline" aria-label="Events">
    ${events.map((event, index) => {
      const { word, text } = happeningOf(event);
      return html`<li key=${index}>
        <time datetime=${event.at} title=${exact(event.at)}>${timeOfDay(event.at)}</time>
        <div><p>${word}</p>${text !== '' && html`<p class="muted">${text}</p>`}</div>
      </li>`;
    })}
  </ol>`;
}
