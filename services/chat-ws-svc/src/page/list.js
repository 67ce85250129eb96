// The list of the chats: who waits, who has which, what was said last, what is new.
import { html, useRef } from './shared/html.js';
import { addressWith } from './shared/address.js';
import { useShortcut } from './shared/keyboard.js';
import { useStore } from './shared/store.js';
import { counted } from './shared/text.js';
import { Time } from './shared/time.js';
import { ActionButton } from './shared/parts/button.js';
import { Badge } from './shared/parts/badge.js';
import { Choice } from './shared/parts/choice.js';
import { CurlBlock } from './shared/parts/code.js';
import { LoadError } from './shared/parts/load-error.js';
import { Loading } from './shared/parts/loading.js';
import { SearchField } from './shared/parts/search.js';
import { moveFocus } from './shared/parts/table.js';
import { paths } from './chats.js';
import { isUnread, seen } from './seen.js';
import { FILTERS, inOrder, previewOf, shortId, siteOf, standingOf } from './words.js';

const NOTHING = {
  connected: 'Nobody is in a chat just now. A visitor who opens the widget and writes shows here.',
  waiting: 'Nobody waits for a person.',
  operator: 'No chat is taken over.',
  flagged: 'No chat is flagged: the bot has answered everybody.',
  all: 'No chats yet.',
};

/** `waiting`: how many wait, whatever is shown. `typing`: the ids of the chats whose visitors write just now. */
export function ChatList({ page, chats, waiting, typing, openId, onOpen, filter, onFilter, search, onSearch, onSettings }) {
  const list = useRef(null);
  useShortcut('j', 'Next chat', () => moveFocus(list.current, 1));
  useShortcut('k', 'Previous chat', () => moveFocus(list.current, -1));
  useShortcut('Enter', 'Open the chat', null);
  return html`<section class="card chats" aria-labelledby="chats">
    <div class="card-head">
      <h2 id="chats">Chats</h2>
      <button type="button" class="button small quiet" onClick=${onSettings}>Settings</button>
    </div>
    <div class="filters">
      <${SearchField} label="Search chats" value=${search} onSearch=${onSearch} />
      <${Choice} label="Show" value=${filter} options=${FILTERS} onChoose=${onFilter} />
    </div>
    <p class="waiting-line" role="status">${waiting > 0 && filter !== 'waiting' && html`<button type="button" class="button small warn"
      onClick=${() => onFilter('waiting')}>${counted(waiting, 'visitor waits', 'visitors wait')} for a person</button>`}</p>
    <div class="chats-scroll" ref=${list}>
      <${Rows} page=${page} chats=${chats} typing=${typing} openId=${openId} onOpen=${onOpen}
        empty=${search === '' ? NOTHING[filter] : 'No chat fits.'} />
    </div>
    <details class="more"><summary>The same with curl</summary><${CurlBlock} label="List" path=${paths.list(filter, search)} /></details>
  </section>`;
}

function Rows({ page, chats: { rows, error, reload, loadMore }, typing, openId, onOpen, empty }) {
  const known = useStore(seen);
  const failed = error !== null && html`<${LoadError} title="The chats could not be loaded" error=${error} onRetry=${reload} />`;
  if (rows === null) return failed || html`<${Loading} class="block" />`;
  return html`${failed}
    ${rows.length === 0 && !failed && html`<p class="table-empty">${empty}</p>`}
    <ul class="chat-rows" aria-label="Chats">${inOrder(rows).map((session) => html`<${Row} key=${session.sessionId} session=${session}
      user=${page.user} manyChannels=${page.settings.channels.length > 1} open=${session.sessionId === openId}
      typing=${typing.has(session.sessionId)} unread=${session.sessionId !== openId && isUnread(session, known)} onOpen=${onOpen} />`)}
    </ul>
    ${loadMore !== null && html`<div class="table-more"><${ActionButton} onAct=${loadMore} busyText="Loading …" tone="quiet">Load more<//></div>`}`;
}

function Row({ session, user, manyChannels, open, typing, unread, onOpen }) {
  const { sessionId, connected, flagged, channel, updatedAt } = session;
  const { word, tone, icon } = standingOf(session, user);
  const follow = (event) => {
    // A new tab or window belongs to the browser.
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    onOpen(sessionId);
  };
  const about = [siteOf(session), manyChannels && channel].filter(Boolean).join(' · ');
  return html`<li class=${open ? 'open' : ''}>
    <a class="row-link chat-row" href=${addressWith({ chat: sessionId })} aria-current=${open ? 'true' : undefined} onClick=${follow}>
      <span class="chat-line">
        <${Badge} tone=${tone} icon=${icon}>${word}<//>
        ${flagged && html`<${Badge} tone="bad" icon="warning">Flagged<//>`}
        ${!connected && html`<${Badge} icon="stopped">Offline<//>`}
        ${unread && html`<span class="new">New</span>`}
        <span class="chat-when muted"><${Time} at=${updatedAt} /></span>
      </span>
      <span class=${unread ? 'chat-said unread clip' : 'chat-said clip'}>${typing ? 'The visitor is writing …' : previewOf(session)}</span>
      <span class="chat-line muted"><code>${shortId(sessionId)}</code><span class="chat-about">${about}</span></span>
    </a>
  </li>`;
}
