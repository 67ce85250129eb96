// The form that connects an agent.
import { html, useState } from './shared/html.js';
import { useBusy } from './shared/parts/button.js';
import { CurlBlock } from './shared/parts/code.js';
import { Field } from './shared/parts/field.js';
import { toast } from './shared/parts/toast.js';
import { paths } from './calls.js';

/** `agentId`: of the agent that is connected already, or nothing. */
export function ConnectForm({ calls, settings, agentId = '' }) {
  const [typed, setTyped] = useState(agentId);
  const [apiKey, setApiKey] = useState('');
  const [errors, setErrors] = useState({});
  const [busy, connect] = useBusy(async (event) => {
    event.preventDefault();
    try {
      const { message } = await calls.connect(wishOf(typed, apiKey));
      setErrors({});
      setApiKey('');
      toast(`${message}.`, 'good');
    } catch (refusal) {
      const found = errorsOf(refusal);
      setErrors(found);
      if (Object.keys(found).length === 0) toast(refusal.message, 'bad');
    }
  });
  const input = (name, set) => (event) => {
    set(event.target.value);
    setErrors((before) => ({ ...before, [name]: undefined }));
  };
  return html`<form class="flow" noValidate onSubmit=${connect}>
    <${Field} label="Agent id" name="agentId" value=${typed} error=${errors.agentId} disabled=${busy} spellcheck="false"
      placeholder="agent_…" hint="In Retell's dashboard, open the agent: its id stands below its name."
      onInput=${input('agentId', setTyped)} />
    <${Field} label=${settings.requireProof ? 'Retell API key' : 'Retell API key (optional)'} name="apiKey" type="password"
      value=${apiKey} error=${errors.apiKey} disabled=${busy} hint=${whyTheKey(settings)} onInput=${input('apiKey', setApiKey)} />
    <button type="submit" class="button primary" disabled=${busy} aria-busy=${busy}>
      ${busy ? 'Connecting …' : 'Connect Agent'}
    </button>
    <details class="more"><summary>The same with curl</summary>
      <${CurlBlock} label="Connect" method="POST" path=${paths.connect}
        body=${wishOf(typed || 'agent_…', settings.requireProof || apiKey !== '' ? 'YOUR_RETELL_API_KEY' : '')} />
    </details>
  </form>`;
}

function wishOf(agentId, apiKey) {
  return apiKey.trim() === '' ? { agentId: agentId.trim() } : { agentId: agentId.trim(), apiKey: apiKey.trim() };
}

function whyTheKey({ requireProof, adoptUnproven }) {
  const kept = 'It is stored encrypted and also checks the webhooks\' signatures.';
  if (requireProof) return `With it Retell is asked whether the agent is yours. ${kept}`;
  const held = adoptUnproven ? '' : ', and brings in its calls of the days before';
  return `It proves that the agent is yours, so that nobody can take it over${held}. ${kept}`;
}

/** What is wrong with a field is said at the field, in the words of the API; anything else is news about the whole. */
function errorsOf({ code, fields, message }) {
  if (fields.agentId !== undefined || fields.apiKey !== undefined) return { agentId: fields.agentId, apiKey: fields.apiKey };
  if (code === 'agent_already_connected') return { agentId: message };
  if (code === 'ownership_not_proven') return { apiKey: message };
  return {};
}
