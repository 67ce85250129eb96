// What one operator chooses for himself: his name, and how he is called.
import { html } from './shared/html.js';
import { recall, remember } from './shared/preferences.js';
import { createStore, useStore } from './shared/store.js';
import { ModalDialog } from './shared/parts/dialog.js';
import { Field } from './shared/parts/field.js';
import { toast } from './shared/parts/toast.js';
import { wantDesktop, wanted, wantSound } from './alerts.js';

const NAME = 'chat.name';
const MAX_NAME_CHARS = 60;

/** The name that visitors see; empty for none. */
export const shownName = createStore(recall(NAME) ?? '');

function rename(name) {
  shownName.set(name);
  remember(NAME, name === '' ? null : name);
}

/** The dialog. */
export function Settings({ onClose }) {
  const name = useStore(shownName);
  const { sound, desktop } = useStore(wanted);
  const switchDesktop = async (event) => {
    if (!(await wantDesktop(event.target.checked))) toast('The browser does not allow notifications of this page.', 'bad');
  };
  return html`<${ModalDialog} title="Your settings" onClose=${onClose}>
    <${Field} label="Your name, as visitors see it" name="name" value=${name} maxlength=${MAX_NAME_CHARS}
      hint="Empty: the name in your token, where it has one." onInput=${(event) => rename(event.target.value)} />
    <p>When a visitor waits for a person:</p>
    <label class="check"><input type="checkbox" checked=${sound} onChange=${(event) => wantSound(event.target.checked)} /> Play a sound</label>
    <label class="check"><input type="checkbox" checked=${desktop} onChange=${switchDesktop} /> Show a notification on the desktop</label>
    <p class="muted">All of this is kept in this browser alone.</p>
    <div class="dialog-actions"><button type="button" class="button" onClick=${onClose}>Close</button></div>
  <//>`;
}
