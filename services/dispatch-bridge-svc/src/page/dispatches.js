// What the page knows about dispatches, and what it can do: the live list, the one that was sent from here, send, cancel.
// Refuses to know how any of it is shown.
import { useRef, useState } from './shared/html.js';
import { post, remove } from './shared/api.js';
import { useList } from './shared/list.js';
import { useLive } from './shared/live.js';
import { usePaced } from './shared/pace.js';

/** How often a filtered list is read again at most: a call that has gone on may fit no longer. */
const REFRESH_MS = 1000;
/** The service gives LiveKit 10 s for the room, and as long for the dispatch. */
const SEND_TIMEOUT_MS = 30_000;

/** The paths that the page also shows as `curl`. `query` begins with a question mark or is empty. */
export const paths = {
  send: '/dispatch',
  dispatch: (id) => `/dispatch/${encodeURIComponent(id)}`,
  list: (query) => `/dispatches${query}`,
  events: '/dispatches/events',
};

/** What the page calls a dispatch: LiveKit's id, or its room where LiveKit gave none. */
export function keyOf({ dispatch_id: id, room }) {
  return id ?? room;
}

// What the list goes by; it must not change from one drawing to the next.
const SHAPE = { keyOf: ({ room }) => room, orderOf: ({ created_at: created }) => created };

/** Of two states of one dispatch the later one. */
export function later(one, other) {
  return one !== undefined && one.updated_at > other.updated_at ? one : other;
}

/**
 * `list`: the dispatches that fit the filters (`useList`); `sent`: the last one that was sent from here, as it stands, or null;
 * `openChanges` counts up with every change of the open one, whose details are then read again.
 */
export function useDispatches(filters, openKey) {
  const list = useList(paths.list(filters.query), SHAPE);
  const refresh = usePaced(list.reload, REFRESH_MS);
  const [sent, setSent] = useState(null);
  const [openChanges, setOpenChanges] = useState(0);
  // What the stream tells while an answer is under way, by room: it may be quicker than the answer.
  const meanwhile = useRef(null);
  const hear = (dispatch) => {
    if (filters.any) refresh();
    else list.put(dispatch);
    meanwhile.current?.set(dispatch.room, dispatch);
    setSent((before) => (before?.room === dispatch.room ? later(before, dispatch) : before));
    if (keyOf(dispatch) === openKey) setOpenChanges((count) => count + 1);
  };
  useLive(paths.events, { dispatch: hear }, () => {
    list.reload();
    setOpenChanges((count) => count + 1);
  });
  return {
    list,
    sent,
    openChanges,
    find: (key) => [sent, ...(list.rows ?? [])].find((row) => row !== null && (keyOf(row) === key || row.room === key)),
    /** The answer comes at once: the page watches for itself how the call goes. */
    send: async (body) => {
      meanwhile.current = new Map();
      try {
        const answer = await post(paths.send, { ...body, wait_seconds: 0 }, { timeoutMs: SEND_TIMEOUT_MS });
        setSent(later(meanwhile.current.get(answer.room), answer));
      } finally {
        meanwhile.current = null;
      }
    },
    cancel: async (id) => {
      const answer = await remove(paths.dispatch(id), undefined, { timeoutMs: SEND_TIMEOUT_MS });
      hear(answer);
      return answer;
    },
  };
}
