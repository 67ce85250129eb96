// The control of the running session: daily limit, start, stop, and how it goes right now.
import { html, useState } from './shared/html.js';
import { duration, Time, useNow } from './shared/time.js';
import { ActionButton, useBusy } from './shared/parts/button.js';
import { CurlBlock } from './shared/parts/code.js';
import { Field } from './shared/parts/field.js';
import { Icon } from './shared/icons.js';
import { LoadError } from './shared/parts/load-error.js';
import { Loading } from './shared/parts/loading.js';
import { Notice } from './shared/parts/notice.js';
import { Progress } from './shared/parts/progress.js';
import { toast } from './shared/parts/toast.js';
import { DeliveryNotice } from './delivery.js';
import { paths } from './sessions.js';
import { calls, closingWords, deliveryStory, ending, endingDetail, outcomeOf } from './words.js';

const DEFAULT_LIMIT = 100;

/** The card at the top. */
export function Control({ sessions, settings }) {
  const { status, statusError } = sessions;
  if (status === null && statusError !== null) {
    return html`<${LoadError} title="The state of the AI system could not be loaded" error=${statusError}
      onRetry=${sessions.loadStatus} />`;
  }
  if (status === null) return html`<${ControlSkeleton} />`;
  return html`<section class="card sides control" aria-label="AI calling">
    <${LiveStatus} status=${status} sessions=${sessions} />
    <${Form} status=${status} sessions=${sessions} settings=${settings} />
  </section>`;
}

/** The place of the card while nothing is known, as large as the card will be. */
export function ControlSkeleton() {
  return html`<${Loading} class="card control-space" />`;
}

function LiveStatus({ status, sessions }) {
  const { session } = status;
  const active = status.aiStatus === 'active';
  return html`<div class="flow">
    <p class="headline ${active ? 'live' : ''}" role="status">
      ${active ? html`<${Icon} name="active" /> AI System Active` : '⚪ AI System Idle'}
    </p>
    ${active && html`<${Running} status=${status} />`}
    ${!active && html`<p class="muted">${session === null
      ? 'No session yet. Set how many calls may be made in a day and start one.'
      : `${calls(status.callsMadeToday)} made today.`}</p>`}
    ${!active && session !== null && html`<${Ending} session=${session} />`}
    ${active && html`<${DeliveryNotice} session=${session} onResend=${sessions.resend} />`}
  </div>`;
}

function Running({ status: { session, callsMadeToday } }) {
  const now = useNow(1000);
  return html`<${Progress} label="Calls of the day's limit" value=${callsMadeToday} max=${session.dailyCallLimit} />
    <dl class="facts">
      <div><dt>Elapsed</dt><dd class="tabular">${duration(now - Date.parse(session.startedAt))}</dd></div>
      <div><dt>This session</dt><dd>${calls(session.callsMade)}</dd></div>
      <div><dt>Started</dt><dd><${Time} at=${session.startedAt} /></dd></div>
    </dl>`;
}

function Ending({ session }) {
  const [words, detail, delivery] = [closingWords(session), endingDetail(session), deliveryStory(session)];
  const lasted = Date.parse(session.stoppedAt) - Date.parse(session.startedAt);
  return html`<${Notice} tone=${outcomeOf(session).tone} title=${ending(session)}>
    ${words !== null && html`<p class="quote">${words}</p>`}
    ${delivery.notable && html`<p><strong>${delivery.title}.</strong> ${delivery.text}</p>`}
    ${detail !== null && html`<p>${detail}</p>`}
    <p class="muted">Ended <${Time} at=${session.stoppedAt} /> after ${duration(lasted)}.</p>
  <//>`;
}

function Form({ status, sessions, settings }) {
  const [typed, setTyped] = useState(null);
  const [error, setError] = useState(null);
  const { session } = status;
  const active = status.aiStatus === 'active';
  const limit = active ? String(session.dailyCallLimit) : typed ?? String(session?.dailyCallLimit ?? DEFAULT_LIMIT);
  const [starting, start] = useBusy(async (event) => {
    event.preventDefault();
    try {
      await sessions.start(asNumber(limit));
      setError(null);
      toast('AI session started.', 'good');
    } catch (refusal) {
      explainStart(refusal, setError, sessions);
    }
  });
  return html`<form class="control-form" noValidate onSubmit=${start}>
    <${Field} label="Daily call limit" name="dailyCallLimit" inputmode="numeric" value=${limit} error=${error}
      disabled=${active || starting}
      hint=${`1 to ${settings.maxDailyCallLimit.toLocaleString('en')}, over all your sessions of a day (${settings.dayTimezone}).`}
      onInput=${(event) => { setTyped(event.target.value); setError(null); }} />
    <div class="control-buttons">
      <button type="submit" class="button primary" disabled=${active || starting} aria-busy=${starting}>
        ${starting ? 'Starting …' : 'Start AI Session'}
      </button>
      <${StopButton} active=${active} onStop=${sessions.stop} />
    </div>
    <p id="stop-hint" class="field-note">
      Stop refuses every further call that n8n claims. A workflow that does not claim its calls goes on.
    </p>
    <details class="more"><summary>The same with curl</summary>
      <${CurlBlock} label="Start" method="POST" path=${paths.start} body=${{ dailyCallLimit: asNumber(limit) }} />
      <${CurlBlock} label="Stop" method="POST" path=${paths.stop} />
    </details>
  </form>`;
}

function StopButton({ active, onStop }) {
  const stop = async () => {
    try {
      const session = await onStop();
      toast(`${ending(session)}.`, 'neutral');
    } catch (refusal) {
      toast(refusal.message, 'bad');
    }
  };
  return html`<${ActionButton} tone="danger" disabled=${!active} busyText="Stopping …" onAct=${stop}
    aria-describedby="stop-hint">Stop<//>`;
}

/** What is wrong with the limit is said at the field; all else is news about the whole page. */
function explainStart(refusal, setError, sessions) {
  if (refusal.fields.dailyCallLimit !== undefined) setError(refusal.fields.dailyCallLimit);
  else if (refusal.status === 400 || refusal.code === 'daily_limit_reached') setError(refusal.message);
  else toast(refusal.message, 'bad');
  if (refusal.code === 'session_already_active') sessions.list.reload();
}

/** The number that was typed; anything else goes to the API as it is, whose message then says what is wrong with it. */
function asNumber(text) {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  return Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}
