import { html, useId } from '../html.js';
import { Icon } from '../icons.js';

/**
 * A labelled field of several lines. It grows with what is typed. `note`: what there is to say about the text; `error`: what is
 * wrong with it. `field`: a ref to it. With `onEnter`, Enter hands it in and Shift+Enter begins a new line.
 */
export function TextArea({ label, note, error, field, onEnter, ...rest }) {
  const id = useId();
  const noteId = `${id}-note`;
  const keys = (event) => {
    // An Enter that ends the choice of a character (Chinese, Japanese) belongs to the keyboard.
    if (onEnter && event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      onEnter();
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      event.target.blur();
    }
  };
  return html`<div class="field text-area">
    <label for=${id}>${label}</label>
    <textarea id=${id} ref=${field} class="input" rows="2" ...${rest} onKeyDown=${keys} aria-invalid=${error ? 'true' : 'false'}
      aria-describedby=${noteId}></textarea>
    <p id=${noteId} class=${error ? 'field-note error' : 'field-note'} aria-live="polite">
      ${error ? html`<${Icon} name="failed" /><span>${error}</span>` : note}
    </p>
  </div>`;
}
