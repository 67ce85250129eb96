// Which messages of visitors this operator has seen, kept in the browser.
import { createStore } from './shared/store.js';
import { recall, remember } from './shared/preferences.js';

const NAME = 'chat.seen';
const KEPT = 500;

/** `{since, at}`: nothing before `since` counts as new; `at`: when each chat was looked at last, by its newest message then. */
function read() {
  try {
    const { since, at } = JSON.parse(recall(NAME));
    if (typeof since === 'string' && typeof at === 'object' && at !== null) return { since, at };
  } catch {
    // Nothing, or nothing that can be read: from now on, then.
  }
  return { since: new Date().toISOString(), at: {} };
}

/** What was seen; components watch it. */
export const seen = createStore(read());
remember(NAME, JSON.stringify(seen.get()));

/** The chat was looked at when this message was its newest. */
export function see(sessionId, timestamp) {
  const { since, at } = seen.get();
  if (!timestamp || at[sessionId] >= timestamp) return;
  const { [sessionId]: before, ...others } = at;
  const kept = Object.fromEntries([...Object.entries(others), [sessionId, timestamp]].slice(-KEPT));
  seen.set({ since, at: kept });
  remember(NAME, JSON.stringify(seen.get()));
}

/** Whether the visitor has said something since. */
export function isUnread({ sessionId, lastMessage }, { since, at }) {
  return lastMessage?.from === 'user' && lastMessage.timestamp > (at[sessionId] ?? since);
}
