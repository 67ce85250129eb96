// What an agent reports at the end of a call: any JSON object. Its transcript is shown as a conversation where it is one.
import { html } from './shared/html.js';
import { CodeBlock } from './shared/parts/code.js';
import { Transcript } from './shared/parts/transcript.js';
import { plain } from './words.js';

/** Turns that are shown as a conversation; the report itself has them all. */
const MOST_TURNS = 500;

/** `report`: as it came, or null. */
export function Report({ report, over }) {
  if (report === null) {
    return html`<h3>Agent's report</h3>
      <p class="muted">${over ? 'The agent has not reported.' : 'The agent reports when the call is over.'}</p>`;
  }
  const turns = turnsOf(report);
  const words = typeof report.transcript === 'string' ? report.transcript.trim() : '';
  return html`<h3>Transcript</h3>
    ${turns.length > 0 && html`<${Transcript} label="Transcript" turns=${turns} speakerOf=${speakerOf} />`}
    ${turns.length === MOST_TURNS && html`<p class="muted">The first ${MOST_TURNS} turns. The rest is in the report.</p>`}
    ${words !== '' && html`<p class="quote">${words}</p>`}
    ${turns.length === 0 && words === '' && html`<p class="muted">The agent's report has none.</p>`}
    <details class="more"><summary>The agent's report</summary>
      <${CodeBlock} label="Report" code=${JSON.stringify(report, null, 2)} />
    </details>`;
}

/** The turns in a report's `transcript`: a list, or a list in its `items` as LiveKit's agents write it. */
export function turnsOf({ transcript }) {
  const items = Array.isArray(transcript) ? transcript : transcript?.items;
  if (!Array.isArray(items)) return [];
  return items.slice(0, MOST_TURNS).map(turnOf).filter(({ text }) => text !== '');
}

function turnOf(item) {
  if (typeof item === 'string') return { speaker: '', text: item.trim() };
  const { role, speaker, type, content, text, message } = item ?? {};
  const by = [role, speaker, type].find((word) => typeof word === 'string') ?? '';
  return { speaker: by, text: said(content ?? text ?? message) };
}

/** Text, or pieces of it; pictures and sounds among them are left out. */
function said(content) {
  const pieces = Array.isArray(content) ? content : [content];
  return pieces.filter((piece) => typeof piece === 'string').join('\n').trim();
}

const SPEAKERS = {
  agent: { name: 'Agent', side: 'right' },
  assistant: { name: 'Agent', side: 'right' },
  user: { name: 'Callee', side: 'left' },
  callee: { name: 'Callee', side: 'left' },
};

/** `{name, side}` of a role. */
export function speakerOf(role) {
  return SPEAKERS[role] ?? { name: role === '' ? 'Said' : plain(role), side: 'middle' };
}
