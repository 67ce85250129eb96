import { html, useEffect, useState } from '../html.js';
import { Icon } from '../icons.js';
import { toast } from './toast.js';

const SAID_MS = 2000;

/** Copies a text and says so in the button itself. */
export function CopyButton({ text, label = 'Copy' }) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), SAID_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    if (await copyText(text)) setCopied(true);
    else toast('The browser does not allow copying here. Select the text and copy it by hand.', 'bad');
  };
  return html`<button type="button" class="button small quiet" onClick=${copy}>
    <${Icon} name=${copied ? 'done' : 'copy'} /><span aria-live="polite">${copied ? 'Copied' : label}</span>
  </button>`;
}

async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copyBySelection(text);
  }
}

/** The clipboard API exists only on https and localhost; a service reached by plain http in a LAN needs the old way. */
function copyBySelection(text) {
  const area = document.createElement('textarea');
  area.value = text;
  area.className = 'visually-hidden';
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  return done;
}
