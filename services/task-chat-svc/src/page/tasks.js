// The API of the tasks as the page uses it, and the list of the user's tasks. Refuses to know how any of it is shown.
import { useEffect } from './shared/html.js';
import { useList } from './shared/list.js';
import { usePaced } from './shared/pace.js';

const TASKS = '/api/tasks';
const ANSWERS = '/api/communications';
/** How often the list is read again while one of its tasks waits. */
const REFRESH_MS = 3000;

/** The paths that the page also shows as `curl`. `query` begins with a question mark or is empty. */
export const paths = {
  assign: `${TASKS}/assign-user-task`,
  list: (query) => `${TASKS}${query}`,
  task: (id) => `${TASKS}/${encodeURIComponent(id)}`,
  resend: (id) => `${TASKS}/${encodeURIComponent(id)}/resend`,
  answers: (id) => `${ANSWERS}/get-responses?taskId=${encodeURIComponent(id)}`,
  stream: (id) => `${ANSWERS}/stream?taskId=${encodeURIComponent(id)}`,
  simulate: `${ANSWERS}/test-response`,
};

/** The address of a chat with an agent, or of the choice of one. Relative, for links on every view of the page. */
export function chatWith(agentId) {
  return agentId === undefined ? 'chat' : `chat?${new URLSearchParams({ agent: agentId })}`;
}

// What the list goes by; it must not change from one drawing to the next.
const SHAPE = { keyOf: ({ taskId }) => taskId, orderOf: ({ createdAt }) => createdAt };

/** The tasks in `state`, or all where that is empty (`useList`); read again while one waits and on coming back to the page. */
export function useTasks(state) {
  const list = useList(paths.list(state === '' ? '' : `?${new URLSearchParams({ state })}`), SHAPE);
  const waits = list.rows?.some((task) => task.state === 'waiting') ?? false;
  const refresh = usePaced(list.reload, REFRESH_MS);
  useEffect(() => {
    if (!waits) return undefined;
    const timer = setInterval(() => document.visibilityState === 'visible' && refresh(), REFRESH_MS);
    return () => clearInterval(timer);
  }, [waits, refresh]);
  useEffect(() => {
    const look = () => document.visibilityState === 'visible' && refresh();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, [refresh]);
  return list;
}
