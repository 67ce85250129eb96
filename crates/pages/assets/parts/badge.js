import { html } from '../html.js';
import { Icon } from '../icons.js';

/** A state in a word with its icon. Tones: good, warn, bad, live, neutral; the word alone must say it too. */
export function Badge({ tone = 'neutral', icon, children }) {
  return html`<span class="badge ${tone}"><${Icon} name=${icon} />${children}</span>`;
}
