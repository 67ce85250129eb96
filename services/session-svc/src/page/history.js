import { html, useMemo } from './shared/html.js';
import { addressWith, useParameter } from './shared/address.js';
import { duration, serverNow, Time, useNow } from './shared/time.js';
import { Badge } from './shared/parts/badge.js';
import { Choice } from './shared/parts/choice.js';
import { SearchField } from './shared/parts/search.js';
import { DataTable } from './shared/parts/table.js';
import { outcomeKey, outcomeOf, outcomes } from './words.js';

const EVERY = 'all';
const NOTHING_YET = 'No sessions yet. Each one you start is listed here with its calls and how it ended.';
const NOTHING_FITS = 'No loaded session fits the search.';

/** All sessions, newest first, with filters that the address holds. They look through what has been loaded. */
export function History({ sessions, openId, onOpen }) {
  const [search, setSearch] = useParameter('q', '', { replace: true });
  const [outcome, setOutcome] = useParameter('outcome', EVERY);
  const { rows, error, reload, loadMore } = sessions.list;
  const shown = useMemo(() => rows && rows.filter((row) => matches(row, search, outcome)), [rows, search, outcome]);
  const filtered = search !== '' || outcome !== EVERY;
  return html`<section class="card" aria-labelledby="history">
    <div class="card-head">
      <h2 id="history">History</h2>
      ${filtered && shown !== null && html`<span class="muted" role="status">${shown.length} of ${rows.length} loaded</span>`}
      <${SearchField} label="Search sessions" value=${search} onSearch=${setSearch} />
      <${Choice} label="Outcome" value=${outcome} options=${[[EVERY, 'All'], ...outcomes]} onChoose=${setOutcome} />
    </div>
    <${DataTable} caption="Sessions, newest first" columns=${COLUMNS} rows=${shown} rowKey=${(row) => row.id} openKey=${openId}
      href=${(row) => addressWith({ session: row.id })} onOpen=${(row) => onOpen(row.id)}
      error=${error} onRetry=${reload} onMore=${loadMore}
      empty=${filtered ? NOTHING_FITS : NOTHING_YET} />
  </section>`;
}

const COLUMNS = [
  {
    key: 'started',
    title: 'Started',
    value: (row) => row.startedAt,
    render: (row) => html`<${Time} at=${row.startedAt} />`,
  },
  {
    key: 'outcome',
    title: 'Outcome',
    value: (row) => outcomeOf(row).word,
    render: (row) => html`<${Outcome} session=${row} />`,
  },
  {
    key: 'calls',
    title: 'Calls',
    class: 'number',
    value: (row) => row.callsMade,
    render: (row) => row.callsMade.toLocaleString('en'),
  },
  {
    key: 'limit',
    title: 'Limit',
    class: 'number wide',
    value: (row) => row.dailyCallLimit,
    render: (row) => row.dailyCallLimit.toLocaleString('en'),
  },
  {
    key: 'duration',
    title: 'Duration',
    class: 'number wide',
    value: lengthOf,
    render: (row) => html`<${Length} session=${row} />`,
  },
  {
    key: 'message',
    title: 'Message',
    class: 'wide stretch',
    render: (row) => html`<span class="clip">${remark(row)}</span>`,
  },
];

/** The badge of how a session stands. */
export function Outcome({ session }) {
  const { word, tone, icon } = outcomeOf(session);
  return html`<${Badge} tone=${tone} icon=${icon}>${word}<//>`;
}

/** How long a session took, counting on while it is active. */
export function Length({ session }) {
  useNow(session.status === 'active' ? 1000 : 0);
  return html`<span class="tabular">${duration(lengthOf(session))}</span>`;
}

function lengthOf(session) {
  const end = session.stoppedAt === null ? serverNow() : Date.parse(session.stoppedAt);
  return end - Date.parse(session.startedAt);
}

/** What the workflow said, or else why nothing could be said. */
function remark(session) {
  return session.message ?? session.delivery.lastError?.message ?? '';
}

function matches(row, search, outcome) {
  if (outcome !== EVERY && outcomeKey(row) !== outcome) return false;
  const text = [row.id, outcomeOf(row).word, remark(row)].join(' ').toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
