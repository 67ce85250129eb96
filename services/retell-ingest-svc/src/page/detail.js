// One call in full: what was said, how Retell judged it, what it cost; and how to erase it.
import { html, useCallback, useEffect, useState } from './shared/html.js';
import { get } from './shared/api.js';
import { usePaced } from './shared/pace.js';
import { exact, Time } from './shared/time.js';
import { AskButton } from './shared/parts/ask-button.js';
import { CodeBlock, CurlBlock } from './shared/parts/code.js';
import { CopyButton } from './shared/parts/copy.js';
import { Drawer } from './shared/parts/drawer.js';
import { Fact } from './shared/parts/fact.js';
import { LoadError } from './shared/parts/load-error.js';
import { Loading } from './shared/parts/loading.js';
import { OutsideLink } from './shared/parts/outside-link.js';
import { toast } from './shared/parts/toast.js';
import { Transcript } from './shared/parts/transcript.js';
import { Outcome, Sentiment } from './list.js';
import { paths } from './calls.js';
import { kindOf, minutes, money, plain, speakerOf } from './words.js';

const REFRESH_MS = 500;

/** The call with this id. What the list knows of it is there at once; the transcript is read, again with every change. */
export function Detail({ id, calls, onClose }) {
  const { call, error, load } = useCall(id, calls.openChanges);
  const known = call ?? calls.find(id) ?? null;
  return html`<${Drawer} title=${known?.channel === 'chat' ? 'Chat' : 'Call'} openKey=${id} onClose=${onClose}>
    ${body({ known, call, error, load })}
    ${call !== null && html`<${EraseButton} call=${call} onErase=${calls.erase} onErased=${onClose} />`}
  <//>`;
}

function useCall(id, openChanges) {
  const [read, setRead] = useState({ id, call: null, error: null });
  const load = useCallback(async () => {
    let next;
    try {
      next = { id, call: (await get(paths.call(id))).call, error: null };
    } catch (error) {
      next = { id, call: null, error };
    }
    setRead((before) => keptThroughOutage(before, next));
  }, [id]);
  useEffect(() => {
    load();
  }, [load]);
  const refresh = usePaced(load, REFRESH_MS);
  useEffect(() => {
    if (openChanges > 0) refresh();
  }, [openChanges, refresh]);
  // What was read of the call before says nothing about this one.
  const { call, error } = read.id === id ? read : { call: null, error: null };
  return { call, error, load };
}

/** A call that is gone is not shown; one that cannot be read just now still is. */
function keptThroughOutage(before, next) {
  const outage = next.error !== null && next.error.status !== 404;
  return outage && before.id === next.id ? { ...before, error: next.error } : next;
}

function body({ known, call, error, load }) {
  if (error?.status === 404) return html`<p>There is no such call, or it is not yours.</p>`;
  return html`
    ${error !== null && html`<${LoadError} title="The call could not be loaded" error=${error} onRetry=${load} />`}
    ${known !== null && html`<${Facts} call=${known} />`}
    ${call !== null && html`<${Conversation} call=${call} /><${Analysis} call=${call} />
      <${CurlBlock} label="Read this call" path=${paths.call(call.callId)} />
      <${CurlBlock} label="Erase this call" method="DELETE" path=${paths.calls} body=${{ callId: call.callId }} />`}
    ${call === null && error === null && html`<${Loading} class="block" />`}`;
}

function Facts({ call }) {
  const ended = call.endedAt ?? null;
  return html`<p class="badges"><${Outcome} call=${call} /><${Sentiment} call=${call} /></p>
    ${call.summary !== null && html`<p class="quote">${call.summary}</p>`}
    <dl class="facts stacked">
      <${Fact} name="Kind">${kindOf(call)}<//>
      ${call.fromNumber !== null && html`<${Fact} name="From">${call.fromNumber}<//>`}
      ${call.toNumber !== null && html`<${Fact} name="To">${call.toNumber}<//>`}
      <${Fact} name="Started">${call.startedAt === null ? 'Not known' : exact(call.startedAt)}<//>
      <${Fact} name="Ended">${ended === null ? 'Not known' : exact(ended)}<//>
      <${Fact} name="Minutes">${call.durationMinutes === null ? 'Not known' : minutes(call.durationMinutes)}<//>
      <${Fact} name="Cost">${call.costCents === null ? 'Not known' : money(call.costCents, { exactly: true })}<//>
      ${call.disconnectionReason !== null && html`<${Fact} name="Why it ended">${plain(call.disconnectionReason)}<//>`}
      ${call.recordingUrl !== null && html`<${Fact} name="Recording">
        <${OutsideLink} address=${call.recordingUrl}>Listen at Retell<//> <span class="muted">(may expire)</span><//>`}
      <${Fact} name="Agent"><code class="id">${call.agentId}</code><//>
      <${Fact} name="First heard of"><${Time} at=${call.createdAt} /><//>
      <${Fact} name="Id"><code class="id">${call.callId}</code> <${CopyButton} text=${call.callId} label="Copy id" /><//>
    </dl>`;
}

function Conversation({ call }) {
  const live = call.status === 'ongoing';
  return html`<h3>Transcript</h3>
    ${call.turns.length > 0 && html`<${Transcript} label="Transcript" turns=${call.turns} speakerOf=${speakerOf} live=${live} />`}
    ${call.turns.length === 0 && call.transcript !== null && html`<p class="quote">${call.transcript}</p>`}
    ${call.turns.length === 0 && call.transcript === null && html`<p class="muted">${live
      ? 'Nothing yet. Retell sends it when the call is over, or turn by turn if the agent is set up so.'
      : 'Nothing was said, or Retell has not sent what was.'}</p>`}`;
}

function Analysis({ call: { analysis } }) {
  if (analysis === null) return null;
  return html`<details class="more"><summary>Retell's analysis</summary>
    <${CodeBlock} label="Analysis" code=${JSON.stringify(analysis, null, 2)} />
  </details>`;
}

const QUESTION = {
  title: 'Erase this call?',
  text: 'Its transcript, summary and raw events are deleted for good. What Retell itself keeps stays there.',
  confirm: 'Erase',
};

function EraseButton({ call, onErase, onErased }) {
  const erase = async () => {
    try {
      await onErase(call.callId);
      toast('The call was erased.', 'good');
      onErased();
    } catch (refusal) {
      toast(refusal.message, 'bad');
    }
  };
  return html`<${AskButton} tone="danger" question=${QUESTION} busyText="Erasing …" onAct=${erase}>Erase this call<//>`;
}
