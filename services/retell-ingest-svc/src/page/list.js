import { html } from './shared/html.js';
import { addressWith } from './shared/address.js';
import { Time } from './shared/time.js';
import { Badge } from './shared/parts/badge.js';
import { Choice } from './shared/parts/choice.js';
import { CurlBlock } from './shared/parts/code.js';
import { Day } from './shared/parts/day.js';
import { SearchField } from './shared/parts/search.js';
import { DataTable } from './shared/parts/table.js';
import { paths } from './calls.js';
import { EVERY } from './filters.js';
import { calls as counted, minutes, money, otherEnd, sentimentOf, sentiments, stateOf } from './words.js';

const SENTIMENTS = [[EVERY, 'All'], ...sentiments.map((word) => [word, word])];

/** The calls, newest first, with filters that the address holds and the service applies. */
export function CallList({ calls, filters, openId, onOpen }) {
  const { rows, error, reload, loadMore } = calls.list;
  return html`<section class="card" aria-labelledby="calls">
    <div class="card-head">
      <h2 id="calls">Calls</h2>
      <span class="muted" role="status">${shown(calls.list, filters)}</span>
      <a class="button" href=${paths.csv(filters.query)} download>Download CSV</a>
    </div>
    <${Filters} filters=${filters} />
    <${DataTable} caption="Calls, newest first" columns=${COLUMNS} rows=${rows} rowKey=${(row) => row.callId} openKey=${openId}
      href=${(row) => addressWith({ call: row.callId })} onOpen=${(row) => onOpen(row.callId)}
      error=${error} onRetry=${reload} onMore=${loadMore} empty=${nothing(calls.agent, filters)} />
    <details class="more"><summary>The same with curl</summary>
      <${CurlBlock} label="List" path=${paths.list(filters.query)} />
      <${CurlBlock} label="CSV" path=${paths.csv(filters.query)} />
    </details>
  </section>`;
}

function Filters({ filters }) {
  const { search, setSearch, sentiment, setSentiment, from, setFrom, to, setTo, any, clear } = filters;
  return html`<div class="filters">
    <${SearchField} label="Search calls" value=${search} onSearch=${setSearch} />
    <${Choice} label="Sentiment" value=${sentiment} options=${SENTIMENTS} onChoose=${setSentiment} />
    <${Day} label="From" value=${from} onChoose=${setFrom} />
    <${Day} label="To" value=${to} onChoose=${setTo} />
    ${any && html`<button type="button" class="button small quiet" onClick=${clear}>Clear filters</button>`}
  </div>`;
}

/** What the list shows, in words that are read out when it has changed. */
function shown({ rows, loading, loadMore }, { any }) {
  if (loading) return 'Loading …';
  if (!any || rows === null) return '';
  return loadMore === null ? `${counted(rows.length)} found` : `More than ${counted(rows.length)} found, the newest first`;
}

function nothing(agent, { any }) {
  if (any) return 'No call fits these filters.';
  return agent?.isConnected
    ? 'No calls yet. Paste the webhook address at Retell, then call your agent: the call shows here while it goes on.'
    : 'No calls yet. Connect your Retell agent first; its calls show here from then on.';
}

const COLUMNS = [
  {
    key: 'started',
    title: 'Started',
    value: ({ startedAt, createdAt }) => startedAt ?? createdAt,
    render: (call) => html`<${Time} at=${call.startedAt ?? call.createdAt} /><span class="narrow muted">${otherEnd(call)}</span>`,
  },
  { key: 'with', title: 'With', class: 'wide', value: otherEnd, render: otherEnd },
  {
    key: 'outcome',
    title: 'Outcome',
    value: (call) => stateOf(call).word,
    render: (call) => html`<${Outcome} call=${call} />`,
  },
  {
    key: 'sentiment',
    title: 'Sentiment',
    class: 'wide',
    value: ({ sentiment }) => sentiment ?? '',
    render: (call) => html`<${Sentiment} call=${call} />`,
  },
  {
    key: 'minutes',
    title: 'Minutes',
    class: 'number',
    value: ({ durationMinutes }) => durationMinutes ?? -1,
    render: ({ durationMinutes }) => minutes(durationMinutes),
  },
  {
    key: 'cost',
    title: 'Cost',
    class: 'number wide',
    value: ({ costCents }) => costCents ?? -1,
    render: ({ costCents }) => money(costCents),
  },
  {
    key: 'summary',
    title: 'Summary',
    class: 'wide stretch',
    render: ({ summary }) => html`<span class="clip">${summary}</span>`,
  },
];

/** The badge of how a call stands. */
export function Outcome({ call }) {
  const { word, tone, icon } = stateOf(call);
  return html`<${Badge} tone=${tone} icon=${icon}>${word}<//>`;
}

/** The badge of the caller's mood, as far as Retell has judged it. */
export function Sentiment({ call }) {
  if (call.sentiment === null) return null;
  const { word, tone, icon } = sentimentOf(call.sentiment);
  return html`<${Badge} tone=${tone} icon=${icon}>${word}<//>`;
}
