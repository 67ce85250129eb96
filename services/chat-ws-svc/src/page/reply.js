// Where a reply is written.
import { html, useEffect, useRef, useState } from './shared/html.js';
import { useShortcut } from './shared/keyboard.js';
import { useStore } from './shared/store.js';
import { TextArea } from './shared/parts/text-area.js';
import { CannedReplies } from './canned.js';
import { shownName } from './settings.js';
import { hintFor, room } from './words.js';

const HINT = 'Enter sends, Shift+Enter begins a new line.';

/** `draft`: what is written so far. */
export function Reply({ page, talk, session, draft }) {
  const field = useRef(null);
  const [complaint, setComplaint] = useState(null);
  const [choosing, setChoosing] = useState(false);
  const name = useStore(shownName).trim();
  const space = room(draft, page.settings.maxTextChars);
  const hint = hintFor(session, page.user);
  useShortcut('r', 'Write a reply', () => field.current.focus());
  useShortcut('c', 'Canned replies', () => setChoosing(true));
  useEffect(() => setComplaint(null), [draft]);
  useEffect(() => () => talk.tellTyping(false), [talk]);
  const send = () => {
    field.current.focus();
    if (space?.tooLong) return;
    if (draft.trim() === '') setComplaint('Write something first.');
    else talk.send(name);
  };
  const submit = (event) => {
    event.preventDefault();
    send();
  };
  const use = (text) => {
    setChoosing(false);
    talk.write(draft === '' ? text : `${draft}\n${text}`);
    // The dialog gives the focus back to where it was; the reply is what goes on.
    requestAnimationFrame(() => field.current?.focus());
  };
  return html`<form class="reply" noValidate onSubmit=${submit}>
    ${hint && html`<p class="reply-hint ${hint.tone}">${hint.text}</p>`}
    <${TextArea} label="Reply to the visitor" name="reply" value=${draft} field=${field} onEnter=${send}
      onInput=${(event) => talk.write(event.target.value)} error=${space?.tooLong ? space.text : complaint} note=${space?.text ?? HINT} />
    <div class="reply-actions">
      <button type="submit" class="button primary" disabled=${space?.tooLong}>Send</button>
      <button type="button" class="button" onClick=${() => setChoosing(true)}>Canned</button>
    </div>
    ${choosing && html`<${CannedReplies} draft=${draft} onUse=${use} onClose=${() => setChoosing(false)} />`}
  </form>`;
}
