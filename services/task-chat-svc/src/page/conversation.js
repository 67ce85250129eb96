// A conversation with an agent: what was written, what came back, how its task stands; and what can be done: write, try
// again, send again. It lives outside of the components, so that signing in again does not lose it.
// Refuses to know how any of it is shown.
import { get, post } from './shared/api.js';
import { paced } from './shared/pace.js';
import { createStore } from './shared/store.js';
import { paths } from './tasks.js';
import { watch } from './watch.js';

const REREAD_MS = 500;
/** Refusals that the same message may get through after: the network's, the database's, a limit's. */
const PASSING = [0, 401, 408, 429, 500, 502, 503, 504];

const BLANK = { text: '' };

/**
 * Its `store` holds `{taskId, task, entries, draft, error, readAt}`. `task`: as the service shows it, null while not known. `entries`:
 * messages and answers, `{key, from, text, at, delivery}`, a message that is not there yet with `sending` and `problem`.
 * `draft`: what is being written, `{text}`, with `of` and `requestKey` where it was a message that did not get through.
 * `error`: why the last reading failed. `readAt`: when the page last asked for it.
 */
export class Conversation {
  constructor({ agentId = null, taskId = null }) {
    this.agentId = agentId;
    this.store = createStore({ taskId, task: null, entries: [], draft: BLANK, error: null, readAt: null });
    this.watched = null;
    this.openings = 0;
    // A stream of a task that is not there would be asked for again and again.
    this.found = false;
    // Counts what the stream told about the task: what was asked for before is older.
    this.told = 0;
    this.reread = paced(() => this.look(), REREAD_MS);
    this.online = () => this.entries.filter(({ problem }) => problem?.status === 0).forEach((entry) => this.retry(entry));
  }

  get entries() {
    return this.store.get().entries;
  }

  change(changes) {
    this.store.set((before) => ({ ...before, ...changes }));
  }

  /** Follows the task while somebody looks; returns how to stop. */
  open() {
    this.openings += 1;
    addEventListener('online', this.online);
    this.load();
    return () => {
      this.openings -= 1;
      removeEventListener('online', this.online);
      this.watched?.close();
      this.watched = null;
    };
  }

  /** Reads the conversation where it has begun, and follows it from then on. */
  async load() {
    const { taskId } = this.store.get();
    if (taskId !== null && (this.found || (await this.look()))) this.follow();
  }

  follow() {
    const { taskId } = this.store.get();
    if (this.openings === 0) return;
    if (this.watched !== null) {
      this.watched.expect();
      return;
    }
    this.watched = watch(paths.stream(taskId), {
      onEvent: (event, data) => this.hear(event, data),
      onGap: () => this.reread.ask(),
      waits: () => this.waits(),
      look: () => this.look(),
    });
  }

  waits() {
    const { taskId, task } = this.store.get();
    return taskId !== null && (task === null || task.state === 'waiting');
  }

  hear(event, data) {
    if (event === 'response') this.add(data.responses.map(answered));
    if (event !== 'task') return;
    this.told += 1;
    this.change({ task: data.task });
    // How each message fares, and the order of all, only the conversation as a whole tells.
    this.reread.ask();
  }

  add(more) {
    const known = new Set(this.entries.map(({ key }) => key));
    const added = more.filter(({ key }) => !known.has(key));
    if (added.length > 0) this.change({ entries: [...this.entries, ...added] });
  }

  /** Reads the conversation anew; resolves to whether that worked. */
  async look() {
    const before = this.told;
    const { taskId } = this.store.get();
    try {
      const { task, messages } = await get(paths.task(taskId));
      this.change({ entries: merged(messages.map(stored), this.entries), error: null, readAt: new Date().toISOString() });
      if (this.told === before) this.change({ task });
      this.found = true;
      return true;
    } catch (error) {
      this.change({ error });
      return false;
    }
  }

  /** Sends what was written. The same words under the same key are the same message, should a try have got through after all. */
  async send() {
    const { text, of, requestKey: before } = this.store.get().draft;
    const requestKey = of === text ? before : newKey();
    this.change({ draft: BLANK });
    const entry = { key: requestKey, requestKey, from: 'user', text, at: new Date().toISOString(), delivery: null };
    this.add([{ ...entry, sending: true, problem: null }]);
    await this.deliver(entry);
  }

  /** Sends once more what did not get through. */
  async retry(entry) {
    this.put(entry.key, { sending: true, problem: null });
    await this.deliver(entry);
  }

  async deliver({ key, requestKey, text }) {
    const before = this.told;
    const { taskId } = this.store.get();
    const message = { agentId: this.agentId, message: text, idempotencyKey: requestKey };
    try {
      const answer = await post(paths.assign, taskId === null ? message : { ...message, taskId });
      this.delivered(key, answer, before);
    } catch (problem) {
      this.put(key, { sending: false, problem, passing: PASSING.includes(problem.status) });
    }
  }

  delivered(key, { taskId, messageId }, before) {
    const known = this.entries.some((entry) => entry.key === messageId);
    if (known) this.drop(key);
    else this.put(key, { key: messageId, sending: false, problem: null });
    const { task } = this.store.get();
    // What the stream told meanwhile may be the answer already.
    const waiting = task !== null && this.told === before ? { task: { ...task, state: 'waiting', failure: null } } : {};
    this.change({ taskId, ...waiting });
    this.found = true;
    this.follow();
  }

  put(key, changes) {
    this.change({ entries: this.entries.map((entry) => (entry.key === key ? { ...entry, ...changes } : entry)) });
  }

  /** Takes a message back that did not get through, to be written anew. */
  takeBack({ key, requestKey, text }) {
    const { draft } = this.store.get();
    this.drop(key);
    this.change({ draft: { text: draft.text === '' ? text : `${text}\n${draft.text}`, of: text, requestKey } });
  }

  drop(key) {
    this.change({ entries: this.entries.filter((entry) => entry.key !== key) });
  }

  /** Sends the last message of a failed task again. */
  async resend() {
    const before = this.told;
    const { task } = await post(paths.resend(this.store.get().taskId));
    if (this.told === before) this.change({ task });
    this.follow();
  }

  /** Answers in the agent's place. */
  async simulate() {
    await post(paths.simulate, { taskId: this.store.get().taskId });
  }
}

function newKey() {
  // `crypto.randomUUID` exists only on https and localhost.
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, '0')).join('');
}

function stored({ id, from, text, createdAt, delivery }) {
  return { key: id, from, text, at: createdAt, delivery };
}

function answered({ id, response, createdAt }) {
  return { key: id, from: 'agent', text: response, at: createdAt, delivery: null };
}

/** What the service has, in its order, and after it what only the page has yet. */
export function merged(stored, local) {
  const known = new Set(stored.map(({ key }) => key));
  // A long conversation comes from some point on: what was before it has its place before it.
  const first = local.findIndex(({ key }) => known.has(key));
  const others = local.filter(({ key }) => !known.has(key));
  const earlier = first < 0 ? [] : others.filter((entry) => local.indexOf(entry) < first);
  return [...earlier, ...stored, ...others.filter((entry) => !earlier.includes(entry))];
}
