// One chat as an operator has it open: what was said, who writes just now, what is not sent yet, and what can be done. It
// lives outside of the components, so that looking at another chat does not lose what is being written.
// Refuses to know how any of it is shown.
import { get, post, remove } from './shared/api.js';
import { createStore } from './shared/store.js';
import { paths, readAll } from './chats.js';

/** How often the visitor is told that somebody writes, and how long a pause ends it. */
const TELL_TYPING_MS = 3000;
const TYPING_PAUSE_MS = 4000;
/** A visitor who is said to write has left, or the end was lost. */
const VISITOR_TYPING_MS = 8000;

/**
 * Its `store` holds `{session, messages, unsent, draft, typing, error, gone}`. `session`: as the service shows it, null while not
 * known. `messages`: null while not known. `unsent`: `{key, text, at, sending, problem}`. `typing`: whether the visitor writes.
 * `error`: why the last reading failed. `gone`: it was erased, or never was.
 */
export class Talk {
  constructor(id) {
    this.id = id;
    this.store = createStore({ session: null, messages: null, unsent: [], draft: '', typing: false, error: null, gone: false });
    // Counts what the stream told about the session: what was asked for before is older.
    this.told = 0;
    // What the stream told while the transcript was on its way.
    this.news = null;
  }

  change(changes) {
    this.store.set((before) => ({ ...before, ...changes }));
  }

  /** Reads the chat anew. */
  async load() {
    const before = this.told;
    this.news = [];
    try {
      const [{ sessions }, messages] = await Promise.all([get(paths.one(this.id)), readAll(paths.messages(this.id), 'items')]);
      const session = sessions.find(({ sessionId }) => sessionId === this.id);
      this.change({ messages: merged(messages, this.news), error: null, gone: false });
      if (session !== undefined && this.told === before) this.change({ session });
    } catch (error) {
      if (error.status === 404) this.change({ gone: true });
      else this.change({ error });
    } finally {
      this.news = null;
    }
  }

  /** The stream told how the chat stands. */
  hear(session) {
    this.told += 1;
    this.change({ session });
  }

  /** The stream told what was said. */
  add(message) {
    this.news?.push(message);
    const { messages } = this.store.get();
    if (messages !== null) this.change({ messages: merged(messages, [message]) });
    if (message.from === 'user') this.visitorTypes(false);
  }

  visitorTypes(active) {
    clearTimeout(this.typingEnd);
    this.change({ typing: active });
    if (active) this.typingEnd = setTimeout(() => this.change({ typing: false }), VISITOR_TYPING_MS);
  }

  erased() {
    this.change({ gone: true });
  }

  write(draft) {
    this.change({ draft });
    this.tellTyping(draft.trim() !== '');
  }

  tellTyping(active) {
    clearTimeout(this.typingPause);
    if (active) this.typingPause = setTimeout(() => this.tellTyping(false), TYPING_PAUSE_MS);
    const now = Date.now();
    if (active ? now - (this.toldTyping ?? 0) < TELL_TYPING_MS : !this.toldTyping) return;
    this.toldTyping = active ? now : 0;
    // Nothing depends on it: who is offline will not see it either.
    if (this.store.get().session?.connected) post(paths.typing, { sessionId: this.id, active }).catch(() => {});
  }

  /** Sends what was written, in the operator's name. */
  async send(name) {
    const { draft, unsent } = this.store.get();
    const message = { key: newKey(), text: draft, name, at: new Date().toISOString(), sending: true, problem: null };
    this.write('');
    this.change({ unsent: [...unsent, message] });
    await this.deliver(message);
  }

  /** Sends once more; the same key is the same message, should a try have got through after all. */
  async retry(message) {
    this.put(message.key, { sending: true, problem: null });
    await this.deliver(message);
  }

  async deliver({ key, text, name }) {
    try {
      const body = bodyOf(this.id, text, name);
      const { messageId, timestamp, delivered } = await post(paths.send, { ...body, idempotencyKey: key });
      this.drop(key);
      this.add({ messageId, from: 'operator', name: name || undefined, text, timestamp, undelivered: delivered === false });
    } catch (problem) {
      this.put(key, { sending: false, problem });
    }
  }

  /** Takes back what did not get through, to be written anew. */
  takeBack({ key, text }) {
    const { draft } = this.store.get();
    this.drop(key);
    this.change({ draft: draft === '' ? text : `${text}\n${draft}` });
  }

  put(key, changes) {
    const { unsent } = this.store.get();
    this.change({ unsent: unsent.map((one) => (one.key === key ? { ...one, ...changes } : one)) });
  }

  drop(key) {
    this.change({ unsent: this.store.get().unsent.filter((one) => one.key !== key) });
  }

  /** Takes the chat for this operator; `force`: also from another. */
  takeOver({ id }, force) {
    return this.turn(paths.takeover(this.id), force, id);
  }

  /** Hands the chat back to the bot; `force`: also another's. */
  release(force) {
    return this.turn(paths.release(this.id), force, null);
  }

  async turn(path, force, operatorId) {
    const before = this.told;
    const { mode, operator } = await post(path, force ? { force } : {});
    const { session } = this.store.get();
    // The stream may have been quicker than the answer, and it is never older.
    if (this.told === before && session !== null) this.change({ session: { ...session, mode, operator, operatorId } });
  }

  /** Erases the chat with all that was said. */
  async erase() {
    await remove(paths.erase(this.id));
    this.erased();
  }
}

/** What is sent, without the key that makes a repetition harmless. */
export function bodyOf(sessionId, text, name) {
  return { sessionId, text, from: 'operator', whenOffline: 'store', ...(name === '' ? {} : { name }) };
}

/** What is known with what came, in the order of the service, each once. What the service told wins over what only the page knew. */
export function merged(known, more) {
  const came = new Map(more.map((message) => [message.messageId, message]));
  const kept = known.map((message) => {
    const news = came.get(message.messageId);
    came.delete(message.messageId);
    return news === undefined ? message : { ...message, ...news };
  });
  return [...kept, ...came.values()];
}

function newKey() {
  // `crypto.randomUUID` exists only on https and localhost.
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, '0')).join('');
}
