// The operators' console: the list of the chats, and the one that is open. `./shared/` is where the service serves the look
// that all pages share.
import { html, useEffect, useMemo, useRef, useState } from './shared/html.js';
import { changeAddress, useParameter } from './shared/address.js';
import { boot } from './shared/boot.js';
import { useLive } from './shared/live.js';
import { useSettled } from './shared/pace.js';
import { Loading } from './shared/parts/loading.js';
import { Notice } from './shared/parts/notice.js';
import { alertWaiting } from './alerts.js';
import { ChatList } from './list.js';
import { OpenChat } from './open-chat.js';
import { Settings } from './settings.js';
import { paths, useChats, useWaiting } from './chats.js';
import { Talk } from './talk.js';
import { FILTERS, previewOf, tabTitle } from './words.js';

const TITLE = 'Chats';
const ROLE = 'operator';
const SETTLED_MS = 250;
const MAX_SEARCH_CHARS = 200;
const [[CONNECTED]] = FILTERS;

// For as long as the page is open: what was begun in one chat is there when the operator comes back to it.
const talks = new Map();
const MOST_TALKS = 50;

function talkOf(user, id) {
  const key = JSON.stringify([user.id, id]);
  const talk = talks.get(key) ?? new Talk(id);
  // The one that was looked at last is the last that is forgotten.
  talks.delete(key);
  if (talks.size >= MOST_TALKS) talks.delete(talks.keys().next().value);
  talks.set(key, talk);
  return talk;
}

function Console({ page }) {
  const [openId, setOpenId] = useParameter('chat', '');
  const [filter, setFilter] = useParameter('state', CONNECTED);
  const [search, setSearch] = useParameter('q', '', { replace: true });
  const [choosing, setChoosing] = useState(false);
  const chats = useChats(filter, useSettled(search.trim().slice(0, MAX_SEARCH_CHARS), SETTLED_MS));
  const waiting = useWaiting((session) => alertWaiting({
    title: 'A visitor waits', text: previewOf(session), tag: session.sessionId, onOpen: () => setOpenId(session.sessionId),
  }));
  const talk = useMemo(() => (openId === '' ? null : talkOf(page.user, openId)), [openId]);
  const typing = useTyping();
  useEffect(() => {
    talk?.load();
  }, [talk]);
  useNews(chats, waiting, talk, typing);
  const count = waiting.waiting.size;
  useEffect(() => {
    document.title = tabTitle(count, page.title);
  }, [count, page.title]);
  return html`<div class=${talk === null ? 'console' : 'console one'}>
    <${ChatList} page=${page} chats=${chats} waiting=${count} typing=${typing.ids} openId=${openId} onOpen=${setOpenId}
      filter=${filter} onFilter=${setFilter} search=${search} onSearch=${setSearch} onSettings=${() => setChoosing(true)} />
    ${talk === null
      ? html`<section class="card no-chat" aria-label="No chat is open"><p class="muted">Choose a chat to read it and to answer.</p></section>`
      : html`<${OpenChat} key=${openId} page=${page} talk=${talk} onClose=${() => setOpenId('')} />`}
    ${choosing && html`<${Settings} onClose=${() => setChoosing(false)} />`}
  </div>`;
}

/** Tells everybody whom it concerns what the stream told. */
function useNews(chats, waiting, talk, typing) {
  const mine = (id) => talk !== null && talk.id === id;
  useLive(paths.events, {
    session: (session) => {
      chats.hear(session);
      waiting.hear(session);
      if (mine(session.sessionId)) talk.hear(session);
    },
    erased: ({ sessionId }) => {
      chats.drop(sessionId);
      waiting.drop(sessionId);
      if (mine(sessionId)) talk.erased();
    },
    message: ({ sessionId, ...message }) => {
      if (message.from === 'user') typing.set(sessionId, false);
      if (mine(sessionId)) talk.add(message);
    },
    typing: ({ sessionId, from, active }) => {
      if (from !== 'user') return;
      typing.set(sessionId, active);
      if (mine(sessionId)) talk.visitorTypes(active);
    },
  }, () => {
    chats.reload();
    waiting.reload();
    talk?.load();
  });
}

/** A visitor who is said to write has left, or the end was lost. */
const TYPING_MS = 8000;

/** The chats whose visitors write just now: `{ids, set(id, active)}`. */
function useTyping() {
  const [ids, setIds] = useState(new Set());
  const ends = useRef(new Map());
  const set = (id, active) => {
    clearTimeout(ends.current.get(id));
    ends.current.delete(id);
    if (active) ends.current.set(id, setTimeout(() => set(id, false), TYPING_MS));
    setIds((before) => {
      if (before.has(id) === active) return before;
      const next = new Set(before);
      if (active) next.add(id);
      else next.delete(id);
      return next;
    });
  };
  return { ids, set };
}

function Content({ page }) {
  if (page.user.roles.includes(ROLE)) return html`<${Console} page=${page} />`;
  return html`<${Notice} tone="warn" title="This console is for operators">
    <p>You are signed in, but your token does not have the role <code>${ROLE}</code>. Ask whoever gives out the tokens, or sign out
      and sign in as somebody else.</p>
    <p>The widget that visitors write in is shown by the <a href="demo">demonstration</a>.</p>
  <//>`;
}

// The address keeps the chat for links; a filter that is none would show an empty list without a reason.
const asked = new URLSearchParams(location.search).get('state');
if (asked !== null && !FILTERS.some(([key]) => key === asked)) changeAddress({ state: null }, { replace: true });

boot({ title: TITLE, ownTitle: true, Content, skeleton: html`<${Loading} class="card console-space" />` });
