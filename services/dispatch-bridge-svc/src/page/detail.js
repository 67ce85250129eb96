// One dispatch in full: what happened, what was asked for, what the agent reported; and how to cancel it.
import { html, useCallback, useEffect, useState } from './shared/html.js';
import { get } from './shared/api.js';
import { usePaced } from './shared/pace.js';
import { exact } from './shared/time.js';
import { CodeBlock, CurlBlock } from './shared/parts/code.js';
import { CopyButton } from './shared/parts/copy.js';
import { Drawer } from './shared/parts/drawer.js';
import { Fact } from './shared/parts/fact.js';
import { LoadError } from './shared/parts/load-error.js';
import { Loading } from './shared/parts/loading.js';
import { OutsideLink } from './shared/parts/outside-link.js';
import { CancelButton } from './cancel.js';
import { later, paths } from './dispatches.js';
import { Report } from './report.js';
import { Length, Problem, Recording, Standing } from './standing.js';
import { Timeline } from './timeline.js';
import { isUnderWay, reasonOf, storyOf } from './words.js';

const REFRESH_MS = 500;

/** The dispatch of this key. What the page knows of it is there at once; its events are read, again with every change. */
export function Detail({ id, dispatches, onClose }) {
  const known = dispatches.find(id) ?? null;
  // A room's name is no id of LiveKit's: there is nothing more to be read.
  const placed = known === null ? !id.startsWith('outbound-') : known.dispatch_id !== null;
  return html`<${Drawer} title="Dispatch" openKey=${id} onClose=${onClose}>
    ${placed
      ? html`<${Placed} id=${known?.dispatch_id ?? id} known=${known} dispatches=${dispatches} />`
      : html`<${Unplaced} known=${known} />`}
  <//>`;
}

function Unplaced({ known }) {
  if (known === null) {
    return html`<p>This dispatch has no id of LiveKit's and is not among those that are loaded. Clear the filters, or load more.</p>`;
  }
  return html`<${Facts} dispatch=${known} /><${Request} dispatch=${known} />`;
}

function Placed({ id, known, dispatches }) {
  const { read, error, load } = useDispatch(id, dispatches.openChanges);
  if (error?.status === 404) return html`<p>There is no such dispatch.</p>`;
  const dispatch = read === null ? known : { ...read, ...later(known ?? undefined, read) };
  return html`
    ${error !== null && html`<${LoadError} title="The dispatch could not be loaded" error=${error} onRetry=${load} />`}
    ${dispatch !== null && html`<${Facts} dispatch=${dispatch} />
      <${CancelButton} dispatch=${dispatch} onCancel=${dispatches.cancel} />`}
    ${read !== null && html`<h3>Events</h3><${Timeline} events=${read.events} />
      <${Report} report=${read.summary} over=${!isUnderWay(dispatch)} />`}
    ${dispatch !== null && html`<${Request} dispatch=${dispatch} />
      <${CurlBlock} label="Read this dispatch" path=${paths.dispatch(id)} />
      ${isUnderWay(dispatch) && html`<${CurlBlock} label="Cancel it" method="DELETE" path=${paths.dispatch(id)} />`}`}
    ${read === null && error === null && html`<${Loading} class="block" />`}`;
}

function useDispatch(id, openChanges) {
  const [state, setState] = useState({ id, read: null, error: null });
  const load = useCallback(async () => {
    try {
      const read = await get(paths.dispatch(id));
      setState({ id, read, error: null });
    } catch (error) {
      // What was read stays while it cannot be read again.
      setState((before) => ({ id, read: before.id === id ? before.read : null, error }));
    }
  }, [id]);
  useEffect(() => {
    load();
  }, [load]);
  const refresh = usePaced(load, REFRESH_MS);
  useEffect(() => {
    if (openChanges > 0) refresh();
  }, [openChanges, refresh]);
  // What was read of the one before says nothing about this one.
  const { read, error } = state.id === id ? state : { read: null, error: null };
  return { read, error, load };
}

function Facts({ dispatch }) {
  const { metadata, call_start: answered, call_end: ended, recording } = dispatch;
  return html`<p class="badges"><${Standing} dispatch=${dispatch} /></p>
    <p>${storyOf(dispatch)}</p>
    <${Problem} dispatch=${dispatch} />
    <dl class="facts stacked">
      <${Fact} name="Destination">${metadata.destination}<//>
      <${Fact} name="Account">${metadata.account_code}<//>
      <${Fact} name="Started">${exact(dispatch.created_at)}<//>
      <${Fact} name="Answered">${momentOf(answered, dispatch)}<//>
      <${Fact} name="Ended">${momentOf(ended, dispatch)}<//>
      ${answered !== null && html`<${Fact} name="Duration"><span class="tabular"><${Length} dispatch=${dispatch} /></span><//>`}
      ${dispatch.end_reason !== null && html`<${Fact} name="Why it ended">${reasonOf(dispatch)}<//>`}
      ${(dispatch.record_call || recording !== null) && html`<${Fact} name="Recording"><${Recorded} dispatch=${dispatch} /><//>`}
      <${Fact} name="Agent">${dispatch.agent_name}<//>
      <${Id} name="Room" id=${dispatch.room} />
      <${Id} name="Dispatch" id=${dispatch.dispatch_id} />
      <${Id} name="Job" id=${dispatch.job_id} />
    </dl>`;
}

function momentOf(at, dispatch) {
  if (at !== null) return exact(at);
  return isUnderWay(dispatch) ? 'Not yet' : 'Never';
}

function Recorded({ dispatch }) {
  const { egress_id: egress, location = null, error = null } = dispatch.recording ?? {};
  return html`<${Recording} dispatch=${dispatch} />
    ${location !== null && html`<p><${OutsideLink} address=${location}>${location}<//></p>`}
    ${error !== null && html`<p>${error}</p>`}
    ${egress && html`<code class="id">${egress}</code>`}`;
}

function Id({ name, id }) {
  if (id === null) return null;
  return html`<${Fact} name=${name}><code class="id">${id}</code> <${CopyButton} text=${id} label=${`Copy ${name.toLowerCase()}`} /><//>`;
}

/** What was asked for. */
function Request({ dispatch: { metadata, session_options: options } }) {
  return html`<h3>What was asked for</h3>
    ${Object.keys(options).length > 0
      ? html`<${CodeBlock} label="Session options" code=${JSON.stringify(options, null, 2)} />`
      : html`<p class="muted">No session options: the agent's own.</p>`}
    <${CodeBlock} label="Metadata" code=${JSON.stringify(metadata, null, 2)} />`;
}
