// The fields of the form, named as in the API.
import { html } from './shared/html.js';
import { Choice } from './shared/parts/choice.js';
import { Field } from './shared/parts/field.js';
import { TextArea } from './shared/parts/text-area.js';

const NUMBER = { type: 'tel', inputmode: 'tel' };

/** `form`: `{typed, errors, busy, change(name, value)}`. `settings`: of the page. */
export function Fields({ form, settings }) {
  return html`
    <div class="fields">
      <${Text} form=${form} name="destination" label="Destination" ...${NUMBER} placeholder="61402012298"
        hint="7 to 15 digits, with the country code." />
      <${Text} form=${form} name="account_code" label="Account code" hint="For which account the call is." />
    </div>
    <${More} title="Transfer and caller id">
      <${Text} form=${form} name="transfer_target" label="Transfer target" ...${NUMBER} hint="Whom the agent hands over to." />
      <${Text} form=${form} name="caller_id" label="Caller id" hint="The user of the SIP From." />
      <${Text} form=${form} name="caller_number" label="Caller number" ...${NUMBER} hint="One that the carrier has approved." />
      <${Text} form=${form} name="caller_name" label="Caller name" hint="What the phone may show." />
    <//>
    <${More} title="Session options">
      <${Text} form=${form} name="llm" label="LLM" placeholder="openai/gpt-4o-mini" />
      <${Text} form=${form} name="stt" label="Speech to text" placeholder="assemblyai/universal-streaming:en" />
      <${Text} form=${form} name="tts" label="Text to speech" placeholder="cartesia"
        hint="A name, or JSON: provider, model, voice." />
      <${Text} form=${form} name="cartesia_voice" label="Cartesia voice" />
      <${Text} form=${form} name="cartesia_model" label="Cartesia model" />
      <${Choice} label="Preemptive generation" value=${form.typed.preemptive_generation} options=${PREEMPTIVE}
        onChoose=${(value) => form.change('preemptive_generation', value)} />
    <//>
    <${More} title="Metadata">
      <${TextArea} label="Metadata" name="metadata" rows="3" spellcheck="false" placeholder=${'{"ticket_id": "INC-1234"}'}
        value=${form.typed.metadata} disabled=${form.busy} error=${form.errors.metadata}
        note="Whatever the agent should know: a JSON object of at most 32 KiB."
        onInput=${(event) => form.change('metadata', event.target.value)} />
    <//>
    <${RecordCall} form=${form} records=${settings.records} />`;
}

const PREEMPTIVE = [['', "The agent's own"], ['true', 'On'], ['false', 'Off']];

function More({ title, children }) {
  return html`<details class="more"><summary>${title}</summary><div class="fields">${children}</div></details>`;
}

function Text({ form, name, ...field }) {
  return html`<${Field} ...${field} name=${name} spellcheck="false" value=${form.typed[name]} error=${form.errors[name]}
    disabled=${form.busy} onInput=${(event) => form.change(name, event.target.value)} />`;
}

function RecordCall({ form, records }) {
  return html`<div class="record">
    <label class="check"><input type="checkbox" name="record_call" checked=${form.typed.record_call} disabled=${form.busy}
      onChange=${(event) => form.change('record_call', event.target.checked)} /> Record the call</label>
    ${form.errors.record_call && html`<p class="field-note error">${form.errors.record_call}</p>`}
    ${form.typed.record_call && html`<p class="field-note">${records
      ? 'Recorded from the answer on. In many places whoever answers must be told.'
      : 'This installation has no storage for recordings (RECORDING_PROVIDER): the call is made, and not recorded.'}</p>`}
  </div>`;
}
