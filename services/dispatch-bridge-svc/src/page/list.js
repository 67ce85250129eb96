import { html } from './shared/html.js';
import { addressWith } from './shared/address.js';
import { counted } from './shared/text.js';
import { Time } from './shared/time.js';
import { Choice } from './shared/parts/choice.js';
import { CurlBlock } from './shared/parts/code.js';
import { SearchField } from './shared/parts/search.js';
import { DataTable } from './shared/parts/table.js';
import { keyOf, paths } from './dispatches.js';
import { EVERY } from './filters.js';
import { Length, Recording, Standing } from './standing.js';
import { reasonOf, recordingOf, statuses, statusOf } from './words.js';

const STATUSES = [[EVERY, 'All'], ...statuses];
const NOTHING_YET = 'No dispatches yet. Send one above, or have n8n POST to /dispatch: '
  + 'each shows here while it rings, is answered and ends.';
const NOTHING_FITS = 'No dispatch fits these filters. An account code must be given in full.';

/** The dispatches, newest first, with filters that the address holds and the service applies. */
export function DispatchList({ dispatches, filters, openKey, onOpen }) {
  const { rows, error, reload, loadMore } = dispatches.list;
  return html`<section class="card" aria-labelledby="dispatches">
    <div class="card-head">
      <h2 id="dispatches">Dispatches</h2>
      <span class="muted" role="status">${shown(dispatches.list, filters)}</span>
    </div>
    <${Filters} filters=${filters} />
    <${DataTable} caption="Dispatches, newest first" columns=${COLUMNS} rows=${rows} rowKey=${keyOf} openKey=${openKey}
      href=${(row) => addressWith({ dispatch: keyOf(row) })} onOpen=${(row) => onOpen(keyOf(row))}
      error=${error} onRetry=${reload} onMore=${loadMore} empty=${filters.any ? NOTHING_FITS : NOTHING_YET} />
    <details class="more"><summary>The same with curl</summary>
      <${CurlBlock} label="List" path=${paths.list(filters.query)} />
      <${CurlBlock} label="Follow" path=${paths.events} />
    </details>
  </section>`;
}

function Filters({ filters: { account, setAccount, status, setStatus, any, clear } }) {
  return html`<div class="filters">
    <${SearchField} label="Account code" value=${account} onSearch=${setAccount} />
    <${Choice} label="Status" value=${status} options=${STATUSES} onChoose=${setStatus} />
    ${any && html`<button type="button" class="button small quiet" onClick=${clear}>Clear filters</button>`}
  </div>`;
}

/** What the list shows, in words that are read out when it has changed. */
function shown({ rows, loading, loadMore }, { any }) {
  if (loading) return 'Loading …';
  if (!any || rows === null) return '';
  const found = counted(rows.length, 'dispatch', 'dispatches');
  return loadMore === null ? `${found} found` : `More than ${found} found, the newest first`;
}

const COLUMNS = [
  {
    key: 'started',
    title: 'Started',
    value: ({ created_at: created }) => created,
    render: (row) => html`<${Time} at=${row.created_at} /><span class="narrow whole muted">${row.metadata.destination}</span>`,
  },
  {
    key: 'destination',
    title: 'Destination',
    class: 'wide',
    value: ({ metadata }) => metadata.destination,
    render: ({ metadata }) => html`<span class="tabular">${metadata.destination}</span>`,
  },
  {
    key: 'account',
    title: 'Account',
    class: 'wide account',
    value: ({ metadata }) => metadata.account_code,
    render: ({ metadata }) => html`<span class="clip">${metadata.account_code}</span>`,
  },
  {
    key: 'status',
    title: 'Status',
    value: (row) => statusOf(row).word,
    render: (row) => html`<${Standing} dispatch=${row} /><span class="narrow muted">${reasonOf(row)}</span>`,
  },
  {
    key: 'duration',
    title: 'Duration',
    class: 'number',
    value: ({ call_duration_seconds: seconds }) => seconds ?? -1,
    render: (row) => html`<${Length} dispatch=${row} />`,
  },
  { key: 'reason', title: 'Reason', class: 'wide reason', value: reasonOf, render: reasonOf },
  {
    key: 'recording',
    title: 'Recording',
    class: 'wide',
    value: (row) => recordingOf(row)?.word ?? '',
    render: (row) => html`<${Recording} dispatch=${row} />`,
  },
];
