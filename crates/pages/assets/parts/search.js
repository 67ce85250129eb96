import { html, useId, useRef } from '../html.js';
import { Icon } from '../icons.js';
import { useShortcut } from '../keyboard.js';

/** A search field that `/` focuses and Esc empties. */
export function SearchField({ label, value, onSearch }) {
  const input = useRef(null);
  const id = useId();
  useShortcut('/', 'Search', () => input.current.focus());
  const keys = (event) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    if (value === '') input.current.blur();
    else onSearch('');
  };
  return html`<div class="search">
    <${Icon} name="search" />
    <label class="visually-hidden" for=${id}>${label}</label>
    <input id=${id} ref=${input} class="input" type="search" autocomplete="off" placeholder=${label} value=${value}
      onInput=${(event) => onSearch(event.target.value)} onKeyDown=${keys} />
  </div>`;
}
