import { html, useEffect, useId, useRef } from '../html.js';
import { Icon } from '../icons.js';
import { useShortcut } from '../keyboard.js';

const NARROW = '(max-width: 640px)';

/**
 * Details of one item at the right edge; on a phone it covers the page and is modal. Beside the page it is not: the
 * rows stay reachable, and j/k go on. `openKey` says which item, so that the focus follows a change of item.
 */
export function Drawer({ title, openKey, onClose, children }) {
  const dialog = useRef(null);
  const heading = useRef(null);
  const titleId = useId();
  useShortcut('Escape', 'Close the details', onClose);
  useEffect(() => {
    const before = document.activeElement;
    if (matchMedia(NARROW).matches) dialog.current.showModal();
    else dialog.current.show();
    return () => {
      if (before?.isConnected) before.focus();
    };
  }, []);
  useEffect(() => heading.current.focus({ preventScroll: true }), [openKey]);
  const cancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${dialog} class="drawer" aria-labelledby=${titleId} onCancel=${cancel}>
    <header class="drawer-head">
      <h2 id=${titleId} ref=${heading} tabindex="-1">${title}</h2>
      <button type="button" class="icon-button" aria-label="Close the details" onClick=${onClose}><${Icon} name="close" /></button>
    </header>
    <div class="drawer-body">${children}</div>
  </dialog>`;
}
