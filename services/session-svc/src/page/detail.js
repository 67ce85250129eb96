import { html, useCallback, useEffect, useState } from './shared/html.js';
import { get } from './shared/api.js';
import { exact, Time } from './shared/time.js';
import { CurlBlock } from './shared/parts/code.js';
import { CopyButton } from './shared/parts/copy.js';
import { Drawer } from './shared/parts/drawer.js';
import { Fact } from './shared/parts/fact.js';
import { LoadError } from './shared/parts/load-error.js';
import { Loading } from './shared/parts/loading.js';
import { Length, Outcome } from './history.js';
import { paths } from './sessions.js';
import { calls, closingWords, deliveryStory, endingDetail } from './words.js';

/** One session in full. `known`: the session as the page has it, which is live; otherwise it is read. */
export function Detail({ id, known, onClose }) {
  const [read, setRead] = useState({ id, session: null, error: null });
  const load = useCallback(async () => {
    try {
      setRead({ id, session: (await get(paths.session(id))).session, error: null });
    } catch (error) {
      setRead({ id, session: null, error });
    }
  }, [id]);
  const missing = known === undefined;
  useEffect(() => {
    if (missing) load();
  }, [missing, load]);
  // What was read of the item before says nothing about this one.
  const { session, error } = read.id === id ? read : { session: null, error: null };
  return html`<${Drawer} title="Session" openKey=${id} onClose=${onClose}>${body(known ?? session, error, load)}<//>`;
}

function body(session, error, load) {
  if (session !== null) return html`<${Facts} session=${session} />`;
  if (error === null) return html`<${Loading} class="block" />`;
  if (error.status === 404) return html`<p>There is no such session, or it is not yours.</p>`;
  return html`<${LoadError} title="The session could not be loaded" error=${error} onRetry=${load} />`;
}

function Facts({ session }) {
  const story = deliveryStory(session);
  const [words, detail] = [closingWords(session), endingDetail(session)];
  return html`<p><${Outcome} session=${session} /></p>
    ${words !== null && html`<p class="quote">${words}</p>`}
    ${detail !== null && html`<p>${detail}</p>`}
    <dl class="facts stacked">
      <${Fact} name="Calls made">${calls(session.callsMade)}<//>
      <${Fact} name="Daily call limit">${session.dailyCallLimit.toLocaleString('en')}<//>
      <${Fact} name="Started">${exact(session.startedAt)}<//>
      <${Fact} name="Ended">${session.stoppedAt === null ? 'Not yet' : exact(session.stoppedAt)}<//>
      <${Fact} name="Duration"><${Length} session=${session} /><//>
      <${Fact} name="Session id"><code class="id">${session.id}</code> <${CopyButton} text=${session.id} label="Copy id" /><//>
    </dl>
    <h3>Delivery to n8n</h3>
    <p><strong>${story.title}.</strong> ${story.text}</p>
    <dl class="facts stacked">
      <${Fact} name="Tries">${session.delivery.attempts}<//>
      ${session.delivery.nextAttemptAt !== null && html`<${Fact} name="Next try"><${Time} at=${session.delivery.nextAttemptAt} /><//>`}
      ${session.delivery.lastError !== null && html`<${Fact} name="Last problem"><code>${session.delivery.lastError.code}</code><//>`}
    </dl>
    <${CurlBlock} label="Read this session" path=${paths.session(session.id)} />`;
}
