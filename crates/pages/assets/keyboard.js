// Shortcuts of one key, and the dialog that lists them. A key means nothing while somebody types, while a dialog is
// open, or after the person has switched single keys off (speech input types them by accident).
import { html, useEffect, useRef, useState } from './html.js';
import { recall, remember } from './preferences.js';
import { ModalDialog } from './parts/dialog.js';

const shortcuts = new Map();
let singleKeys = recall('single-keys') !== 'off';

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.querySelector('dialog:modal') !== null) return;
  if (event.key !== 'Escape' && (isTyping(event.target) || !singleKeys)) return;
  const shortcut = shortcuts.get(event.key);
  if (shortcut === undefined || shortcut.act === null) return;
  event.preventDefault();
  shortcut.act();
});

function isTyping(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

/** Gives a key a meaning while the component is shown. `act` null only lists it (the browser does it already). */
export function useShortcut(key, label, act) {
  const latest = useRef(act);
  latest.current = act;
  useEffect(() => {
    const shortcut = { label, act: act === null ? null : () => latest.current() };
    shortcuts.set(key, shortcut);
    return () => {
      if (shortcuts.get(key) === shortcut) shortcuts.delete(key);
    };
  }, [key, label, act === null]);
}

/** The list of shortcuts, opened by `?` or by the frame's button through `opener`. */
export function ShortcutHelp({ open, onOpen, onClose }) {
  const [enabled, setEnabled] = useState(singleKeys);
  useShortcut('?', 'Show this list', onOpen);
  const change = (event) => {
    singleKeys = event.target.checked;
    remember('single-keys', singleKeys ? null : 'off');
    setEnabled(singleKeys);
  };
  if (!open) return null;
  return html`<${ModalDialog} title="Keyboard" onClose=${onClose}>
    <dl class="shortcuts">
      ${[...shortcuts].map(([key, { label }]) => html`
        <div key=${key}><dt><kbd>${key === 'Escape' ? 'Esc' : key}</kbd></dt><dd>${label}</dd></div>`)}
    </dl>
    <label class="check"><input type="checkbox" checked=${enabled} onChange=${change} /> Use single-key shortcuts</label>
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>Close</button></div>
  <//>`;
}
