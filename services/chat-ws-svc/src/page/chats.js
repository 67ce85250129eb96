// The API of the chats as the console uses it: the list that is looked at, and who waits. Refuses to know how any of it is shown.
import { useCallback, useEffect, useRef, useState } from './shared/html.js';
import { get, pathOfNext } from './shared/api.js';
import { useList } from './shared/list.js';
import { usePaced } from './shared/pace.js';
import { fits, isWaiting } from './words.js';

const SESSIONS = '/api/sessions';
const REREAD_MS = 1000;
const PAGE = 200;

const of = (id) => `${SESSIONS}/${encodeURIComponent(id)}`;

/** The paths that the console also shows as `curl`. */
export const paths = {
  list: (filter, search) => {
    const query = new URLSearchParams();
    if (filter !== 'connected') query.set('state', filter);
    if (search !== '') query.set('q', search);
    const text = query.toString();
    return text === '' ? SESSIONS : `${SESSIONS}?${text}`;
  },
  one: (id) => `${SESSIONS}?${new URLSearchParams({ state: 'all', q: id })}`,
  erase: of,
  messages: (id) => `${of(id)}/messages?limit=${PAGE}`,
  takeover: (id) => `${of(id)}/takeover`,
  release: (id) => `${of(id)}/release`,
  send: '/api/send-message',
  typing: '/api/typing',
  events: '/api/operator/events',
};

// What the list goes by; it must not change from one drawing to the next.
const SHAPE = { keyOf: ({ sessionId }) => sessionId, orderOf: ({ sessionId }) => sessionId, name: 'sessions' };

/** The list of chats (`useList`), and `hear(session)` for what is told about one. */
export function useChats(filter, search) {
  const list = useList(paths.list(filter, search), SHAPE);
  const reread = usePaced(list.reload, REREAD_MS);
  const hear = (session) => {
    const known = list.rows?.some(({ sessionId }) => sessionId === session.sessionId) ?? false;
    if (!fits(session, filter)) list.drop(session.sessionId);
    else if (known || search === '') list.put(session);
    // Only the service can tell whether a chat has the words that are looked for.
    else reread();
  };
  return { ...list, hear };
}

/**
 * Who waits for a person, whatever the list shows: `{waiting, hear, reload}`, `waiting` a Map by id. `onWaiting(session)`: somebody
 * waits who did not before.
 */
export function useWaiting(onWaiting) {
  const [waiting, setWaiting] = useState(new Map());
  const known = useRef(waiting);
  // What is told while the whole is read, which its answer may not know yet; null when nothing is under way.
  const news = useRef(null);
  const set = (next) => {
    known.current = next;
    setWaiting(next);
  };
  const change = (id, session) => {
    news.current?.push([id, session]);
    set(changed(known.current, id, session));
  };
  const reload = useCallback(async () => {
    const mine = [];
    news.current = mine;
    try {
      const all = await readAll(`${paths.list('waiting', '')}&limit=${PAGE}`, 'sessions');
      const read = new Map(all.map((session) => [session.sessionId, session]));
      if (news.current === mine) set(mine.reduce((map, [id, session]) => changed(map, id, session), read));
    } catch {
      // The list says what is wrong with the service; this is only a count.
    } finally {
      if (news.current === mine) news.current = null;
    }
  }, []);
  useEffect(() => {
    reload();
  }, [reload]);
  const hear = (session) => {
    const isNew = isWaiting(session) && !known.current.has(session.sessionId);
    change(session.sessionId, isWaiting(session) ? session : null);
    if (isNew) onWaiting(session);
  };
  return { waiting, hear, drop: (id) => change(id, null), reload };
}

/** The map with this session, or without it where it is null. */
function changed(map, id, session) {
  const next = new Map(map);
  if (session === null) next.delete(id);
  else next.set(id, session);
  return next;
}

const MOST_PAGES = 50;

/** All rows of a list, page by page. */
export async function readAll(path, name) {
  const rows = [];
  let next = path;
  for (let pages = 0; next !== null && pages < MOST_PAGES; pages += 1) {
    const page = await get(next);
    rows.push(...page[name]);
    next = pathOfNext(page.next);
  }
  return rows;
}
