// What the page knows about the user's sessions, and what it can do to them: the live status, the history so far, start,
// stop and send again. Refuses to know how any of it is shown.
import { useCallback, useEffect, useRef, useState } from './shared/html.js';
import { get, post } from './shared/api.js';
import { useList } from './shared/list.js';
import { useLive } from './shared/live.js';

const API = '/api/ai-session';

/** The paths that the page also shows as `curl`. */
export const paths = {
  start: `${API}/start`,
  stop: `${API}/stop`,
  session: (id) => `${API}/${encodeURIComponent(id)}`,
  resend: (id) => `${API}/${encodeURIComponent(id)}/resend`,
  stats: (days) => `${API}/stats?days=${days}`,
};

// What the list goes by; it must not change from one drawing to the next.
const SHAPE = { keyOf: ({ id }) => id, orderOf: ({ startedAt }) => startedAt };

/**
 * `status`: what `GET status` answers, null at first; `list`: the history (`useList`); `reloads` counts up when what is not
 * streamed should be read again.
 */
export function useSessions() {
  const [status, setStatus] = useState(null);
  const [statusError, setStatusError] = useState(null);
  const [reloads, setReloads] = useState(0);
  const list = useList(API, SHAPE);
  const streamed = useRef(0);

  const apply = (news) => {
    setStatus(news);
    setStatusError(null);
    if (news.session !== null) list.put(news.session);
  };
  const loadStatus = useCallback(async () => {
    try {
      const first = await get(`${API}/status`);
      // The stream may have been quicker, and it is never older.
      setStatus((known) => known ?? first);
      setStatusError(null);
    } catch (error) {
      setStatusError(error);
    }
  }, []);
  useEffect(() => {
    loadStatus();
  }, [loadStatus]);
  const follow = (news) => {
    streamed.current += 1;
    apply(news);
  };
  useLive(`${API}/events`, { session: follow }, () => {
    list.reload();
    setReloads((count) => count + 1);
  });

  const act = async (path, body) => {
    const before = streamed.current;
    const { session } = await post(path, body);
    // The stream may have been quicker than the answer, and it is never older: every change comes through it.
    if (streamed.current !== before) return session;
    apply({ aiStatus: session.status === 'active' ? 'active' : 'idle', callsMadeToday: session.callsMadeToday, session });
    return session;
  };
  return {
    status,
    statusError,
    list,
    reloads,
    loadStatus,
    find: (id) => (status?.session?.id === id ? status.session : list.rows?.find((row) => row.id === id)),
    start: (dailyCallLimit) => act(paths.start, { dailyCallLimit }),
    stop: () => act(paths.stop),
    resend: (id) => act(paths.resend(id)),
  };
}
