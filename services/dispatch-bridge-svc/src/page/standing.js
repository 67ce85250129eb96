// Small pieces of how a dispatch stands, for the list, the details and the one that was sent.
import { html } from './shared/html.js';
import { duration, useNow } from './shared/time.js';
import { Badge } from './shared/parts/badge.js';
import { Notice } from './shared/parts/notice.js';
import { recordingOf, sentence, statusOf } from './words.js';

/** The badge of its status. */
export function Standing({ dispatch }) {
  const { word, tone, icon } = statusOf(dispatch);
  return html`<${Badge} tone=${tone} icon=${icon}>${word}<//>`;
}

/** The badge of its recording, where one was asked for. */
export function Recording({ dispatch }) {
  const told = recordingOf(dispatch);
  return told && html`<${Badge} tone=${told.tone} icon=${told.icon}>${told.word}<//>`;
}

/** How long they talked, or have been talking; nothing before. */
export function Length({ dispatch }) {
  const { call_start: start, call_duration_seconds: seconds, status } = dispatch;
  const talks = status === 'answered' && start !== null;
  const now = useNow(talks ? 1000 : 0);
  if (talks) return duration(now - Date.parse(start));
  return seconds === null ? '' : duration(seconds * 1000);
}

/** What went wrong in the carrier's or the service's words, and what to do about it. */
export function Problem({ dispatch: { message = null, hint = null, warning = null, status } }) {
  if (message === null && warning === null) return null;
  return html`<${Notice} tone=${status === 'failed' ? 'bad' : 'warn'} title=${message ?? sentence(warning)}>
    ${message !== null && warning !== null && html`<p>${sentence(warning)}</p>`}
    ${hint !== null && html`<p>${sentence(hint)}</p>`}
    ${status === 'no_worker' && html`<p>Check that the agent runs, and under this name.</p>`}
  <//>`;
}
