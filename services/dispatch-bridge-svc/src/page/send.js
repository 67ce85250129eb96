// The form that sends a test dispatch, and what came of the last one.
import { html, useEffect, useRef, useState } from './shared/html.js';
import { Icon } from './shared/icons.js';
import { ask } from './shared/parts/confirm.js';
import { useBusy } from './shared/parts/button.js';
import { CurlBlock } from './shared/parts/code.js';
import { Loading } from './shared/parts/loading.js';
import { Notice } from './shared/parts/notice.js';
import { paths } from './dispatches.js';
import { Fields } from './fields.js';
import { BLANK, faultsOf, refusalOf, requestOf } from './request.js';
import { Sent } from './sent.js';
import { sentence } from './words.js';

/** The card at the top. */
export function SendCard({ dispatches, settings, onOpen }) {
  const outcome = useRef(null);
  const room = dispatches.sent?.room;
  useEffect(() => {
    // On a phone it stands below the form.
    if (room !== undefined) outcome.current.scrollIntoView({ block: 'nearest' });
  }, [room]);
  return html`<section class="card sides send" aria-labelledby="send">
    <div><h2 id="send">Send a test dispatch</h2>
      <${Form} dispatches=${dispatches} settings=${settings} onOpen=${onOpen} /></div>
    <div class="outcome" ref=${outcome}><${Sent} dispatches=${dispatches} settings=${settings} onOpen=${onOpen} /></div>
  </section>`;
}

/** The place of the card while nothing is known, as large as the card will be. */
export function SendSkeleton() {
  return html`<${Loading} class="card send-space" />`;
}

function useForm(dispatches) {
  const [typed, setTyped] = useState(BLANK);
  const [errors, setErrors] = useState({});
  const [refusal, setRefusal] = useState(null);
  const [busy, send] = useBusy(async (more = {}) => {
    const { body, errors: faults } = requestOf(typed);
    setRefusal(null);
    setErrors(faults);
    if (Object.keys(faults).length > 0) return;
    try {
      await dispatches.send({ ...body, ...more });
    } catch (error) {
      const found = faultsOf(error.fields);
      setErrors(found);
      if (Object.keys(found).length === 0) setRefusal(refusalOf(error));
    }
  });
  const change = (name, value) => {
    setTyped((before) => ({ ...before, [name]: value }));
    setErrors((before) => ({ ...before, [name]: undefined }));
  };
  return { typed, errors, refusal, busy, send, change };
}

function Form({ dispatches, settings, onOpen }) {
  const form = useForm(dispatches);
  const element = useRef(null);
  useEffect(() => {
    if (Object.values(form.errors).some(Boolean) && !form.busy) toFirstFault(element.current);
  }, [form.busy]);
  const submit = (event) => {
    event.preventDefault();
    form.send();
  };
  return html`<form class="flow" noValidate ref=${element} onSubmit=${submit}>
    <${Fields} form=${form} settings=${settings} />
    <p class="warning" id="send-warning"><${Icon} name="warning" /><span>This calls a real phone: it rings at once, and the agent talks
      with whoever answers. Cancelling hangs up.</span></p>
    <button type="submit" class="button primary" disabled=${form.busy} aria-busy=${form.busy} aria-describedby="send-warning">
      ${form.busy ? 'Sending …' : 'Send test dispatch'}
    </button>
    <div role="alert">${form.refusal !== null && html`<${Refusal} form=${form} settings=${settings} onOpen=${onOpen} />`}</div>
    <details class="more"><summary>The same with curl</summary>
      <${CurlBlock} label="Send" method="POST" path=${paths.send} body=${exampleOf(form.typed)} />
    </details>
  </form>`;
}

/** A fault in a part that is folded is unfolded. */
function toFirstFault(form) {
  for (const field of form.querySelectorAll('[aria-invalid=true]')) {
    const folded = field.closest('details');
    if (folded !== null) folded.open = true;
  }
  form.querySelector('[aria-invalid=true]')?.focus();
}

/** What is typed, with a number and an account where there are none yet. */
function exampleOf(typed) {
  return { destination: '61402012298', account_code: 'em-tech-01', ...requestOf(typed).body };
}

function Refusal({ form: { refusal, busy, send }, settings, onOpen }) {
  const { tone, title, text, hint, duplicateOf } = refusal;
  const again = async () => {
    if (await ask(againQuestion(settings))) await send({ allow_duplicate: true });
  };
  const actions = duplicateOf !== null && html`
    <button type="button" class="button small" onClick=${() => onOpen(duplicateOf)}>Open that call</button>
    <button type="button" class="button small" disabled=${busy} onClick=${again}>Dial it again</button>`;
  return html`<${Notice} tone=${tone} title=${title} actions=${actions}>
    <p>${text}</p>
    ${hint !== null && html`<p>${sentence(hint)}</p>`}
  <//>`;
}

function againQuestion({ duplicateDialWindowSeconds: seconds }) {
  return {
    title: 'Dial the same number again?',
    text: `It was dialled for this account less than ${seconds} s ago: the same person may be called twice.`,
    confirm: 'Dial again',
  };
}
