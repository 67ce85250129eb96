import { html, useId } from '../html.js';
import { Icon } from '../icons.js';

/** A labelled input with a hint and, in its place, the API's own words about what is wrong with it. */
export function Field({ label, hint, error, class: extra = '', ...input }) {
  const id = useId();
  const noteId = `${id}-note`;
  return html`<div class="field ${extra}">
    <label for=${id}>${label}</label>
    <input id=${id} class="input" autocomplete="off" ...${input} aria-invalid=${error ? 'true' : 'false'} aria-describedby=${noteId} />
    <p id=${noteId} class=${error ? 'field-note error' : 'field-note'} aria-live="polite">
      ${error ? html`<${Icon} name="failed" /><span>${error}</span>` : hint}
    </p>
  </div>`;
}
