import { html, useMemo } from './shared/html.js';
import { addressWith, useParameter } from './shared/address.js';
import { useShortcut } from './shared/keyboard.js';
import { Time } from './shared/time.js';
import { ActionButton } from './shared/parts/button.js';
import { Badge } from './shared/parts/badge.js';
import { Choice } from './shared/parts/choice.js';
import { CurlBlock } from './shared/parts/code.js';
import { SearchField } from './shared/parts/search.js';
import { DataTable } from './shared/parts/table.js';
import { chatWith, paths, useTasks } from './tasks.js';
import { stateOf, states } from './words.js';

const EVERY = 'all';
const NOTHING_YET = 'No tasks yet. Start a chat: its first message becomes a task, which shows here.';
const NOTHING_FITS = 'No task fits.';

/** The user's tasks, newest first, with filters that the address holds. */
export function TaskList({ openId, onOpen }) {
  const [search, setSearch] = useParameter('q', '', { replace: true });
  const [state, setState] = useParameter('state', EVERY);
  const { rows, error, reload, loadMore } = useTasks(state === EVERY ? '' : state);
  const shown = useMemo(() => rows && rows.filter((row) => matches(row, search)), [rows, search]);
  const filtered = search !== '' || state !== EVERY;
  useShortcut('n', 'New chat', () => location.assign(chatWith()));
  return html`<section class="card" aria-labelledby="tasks">
    <div class="card-head">
      <h2 id="tasks">Your tasks</h2>
      ${filtered && shown !== null && html`<span class="muted" role="status">${shown.length} of ${rows.length} loaded</span>`}
      <${ActionButton} tone="quiet" onAct=${reload} busyText="Looking …">Refresh<//>
      <a class="button primary" href=${chatWith()}>New chat</a>
    </div>
    <div class="filters">
      <${SearchField} label="Search tasks" value=${search} onSearch=${setSearch} />
      <${Choice} label="State" value=${state} options=${[[EVERY, 'All'], ...states]} onChoose=${setState} />
    </div>
    <${DataTable} caption="Tasks, newest first" columns=${COLUMNS} rows=${shown} rowKey=${(row) => row.taskId} openKey=${openId}
      href=${(row) => addressWith({ task: row.taskId })} onOpen=${(row) => onOpen(row.taskId)}
      error=${error} onRetry=${reload} onMore=${loadMore} empty=${filtered ? NOTHING_FITS : NOTHING_YET} />
    <details class="more"><summary>The same with curl</summary>
      <${CurlBlock} label="List" path=${paths.list(state === EVERY ? '' : `?${new URLSearchParams({ state })}`)} />
    </details>
  </section>`;
}

const COLUMNS = [
  {
    key: 'started',
    title: 'Started',
    value: ({ createdAt }) => createdAt,
    render: (task) => html`<${Time} at=${task.createdAt} />
      <span class="narrow muted">${task.agentId}</span><span class="narrow muted"><span class="clip">${task.title}</span></span>`,
  },
  { key: 'state', title: 'State', value: (task) => stateOf(task).word, render: (task) => html`<${State} task=${task} />` },
  { key: 'agent', title: 'Agent', class: 'wide', value: ({ agentId }) => agentId, render: ({ agentId }) => html`<span class="agent-name">${agentId}</span>` },
  { key: 'answers', title: 'Answers', class: 'number wide', value: ({ responses }) => responses, render: ({ responses }) => responses.toLocaleString('en') },
  { key: 'message', title: 'First message', class: 'wide stretch', render: ({ title }) => html`<span class="clip">${title}</span>` },
];

/** The badge of how a task stands. */
export function State({ task }) {
  const { word, tone, icon } = stateOf(task);
  return html`<${Badge} tone=${tone} icon=${icon}>${word}<//>`;
}

function matches({ title, agentId, taskId, failure }, search) {
  const text = [title, agentId, taskId, failure?.message ?? ''].join(' ').toLowerCase();
  return search.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}
