// Where a message is written.
import { html, useEffect, useRef, useState } from './shared/html.js';
import { useShortcut } from './shared/keyboard.js';
import { TextArea } from './shared/parts/text-area.js';
import { room } from './words.js';

const HINT = 'Enter sends, Shift+Enter begins a new line.';

/** `held`: why nothing can be sent now, or null. `sending`: a message is on its way. */
export function Composer({ agentId, text, onText, held, sending, onSend }) {
  const field = useRef(null);
  const [complaint, setComplaint] = useState(null);
  const space = room(text);
  useShortcut('r', 'Write a message', () => field.current.focus());
  useEffect(() => {
    // On a phone the keyboard would cover the page before it has been seen.
    if (matchMedia('(pointer: fine)').matches) field.current.focus();
  }, []);
  useEffect(() => setComplaint(null), [text, held]);
  const send = () => {
    if (sending || space?.tooLong) return;
    if (held !== null) setComplaint(held);
    else if (text.trim() === '') setComplaint('Write something first.');
    else onSend();
    field.current.focus();
  };
  const submit = (event) => {
    event.preventDefault();
    send();
  };
  return html`<form class="composer" noValidate onSubmit=${submit}>
    <${TextArea} label=${`Message to ${agentId}`} name="message" value=${text} field=${field} onEnter=${send}
      onInput=${(event) => onText(event.target.value)}
      error=${space?.tooLong ? space.text : complaint} note=${space?.text ?? HINT} />
    <button type="submit" class="button primary" disabled=${sending || space?.tooLong} aria-busy=${sending}>
      ${sending ? 'Sending …' : 'Send'}
    </button>
  </form>`;
}
