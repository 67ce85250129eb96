// What the page knows about the user's agent and calls, and what it can do to them: the live list, connect, disconnect,
// erase. Refuses to know how any of it is shown.
import { useCallback, useEffect, useRef, useState } from './shared/html.js';
import { get, post, remove } from './shared/api.js';
import { useList } from './shared/list.js';
import { useLive } from './shared/live.js';
import { usePaced } from './shared/pace.js';

const API = '/api/retell';
/** How often a filtered list is read again at most: whether a call fits, only the service can tell. */
const REFRESH_MS = 1000;

/** The paths that the page also shows as `curl`. `query` begins with a question mark or is empty. */
export const paths = {
  agent: `${API}/agent-status`,
  connect: `${API}/connect-agent`,
  disconnect: `${API}/disconnect-agent`,
  calls: `${API}/calls`,
  list: (query) => `${API}/calls${query}`,
  csv: (query) => `${API}/calls.csv${query}`,
  call: (id) => `${API}/calls/${encodeURIComponent(id)}`,
  analytics: (from) => `${API}/analytics?from=${from}`,
};

// What the list goes by; it must not change from one drawing to the next.
const SHAPE = { keyOf: ({ callId }) => callId, orderOf: ({ startedAt, createdAt }) => startedAt ?? createdAt };

/**
 * `agent`: what `GET agent-status` says, null at first; `list`: the calls that fit the filters (`useList`); `changes` counts
 * up with every change of any call, `openChanges` with those of the open one: what is read by itself is then read again.
 */
export function useCalls(filters, openId) {
  const list = useList(paths.list(filters.query), SHAPE);
  const refresh = usePaced(list.reload, REFRESH_MS);
  const agent = useAgent();
  const [changes, setChanges] = useState(0);
  const [openChanges, setOpenChanges] = useState(0);
  const changed = (callId) => {
    setChanges((count) => count + 1);
    if (callId === undefined || callId === openId) setOpenChanges((count) => count + 1);
  };
  const handlers = {
    call: ({ call }) => {
      if (filters.any) refresh();
      else list.put(call);
      changed(call.callId);
    },
    // The first page as it is now: on connecting, and when calls were erased.
    calls: (page) => {
      if (filters.any) refresh();
      else list.replace(page);
      changed();
    },
    agent: agent.follow,
  };
  useLive(`${API}/events`, handlers, () => {
    list.reload();
    agent.load();
    changed();
  });
  return {
    list,
    agent: agent.status,
    agentError: agent.error,
    loadAgent: agent.load,
    changes,
    openChanges,
    find: (id) => list.rows?.find(({ callId }) => callId === id),
    connect: async (wish) => {
      const answer = await post(paths.connect, wish);
      await agent.load();
      return answer;
    },
    disconnect: async () => {
      const answer = await remove(paths.disconnect);
      await agent.load();
      return answer;
    },
    erase: async (callId) => {
      const answer = await remove(paths.calls, { callId });
      list.drop(callId);
      return answer;
    },
  };
}

/** The agent's state: read at first and after every action, followed by the stream. */
function useAgent() {
  const [state, setState] = useState({ status: null, error: null });
  const streamed = useRef(0);
  const load = useCallback(async () => {
    const before = streamed.current;
    try {
      const { data } = await get(paths.agent);
      // The stream may have been quicker, and it is never older.
      if (streamed.current === before) setState({ status: data, error: null });
    } catch (error) {
      setState((known) => ({ ...known, error }));
    }
  }, []);
  useEffect(() => {
    load();
  }, [load]);
  const follow = ({ data }) => {
    streamed.current += 1;
    setState({ status: data, error: null });
  };
  return { ...state, load, follow };
}
