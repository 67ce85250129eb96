// The conversation: what was said, what is being said, what is not sent yet. Refuses to know how it is shown.

/** A bot may think this long (its own limit is 120 s), a person types in shorter bursts. */
const TYPING_MS = { bot: 130_000, operator: 8000 };
const REPLAYED_AT_MOST = 100;
/** Most messages on the screen, and most that wait to be sent. */
const MOST_MESSAGES = 500;
const MOST_UNSENT = 50;
/** How often the service is told that somebody types, and how long a pause ends it. */
const TELL_TYPING_MS = 3000;
/** Refusals that the same message may get through after. */
const PASSING = ['rate_limited', 'unavailable'];

class Chat {
  /** `url(after)`: where to connect. `onChange()`: something is to be drawn. `onSaid(message)`: somebody else said something new. */
  constructor({ memory, url, onChange, onSaid }) {
    Object.assign(this, { memory, onChange, onSaid });
    this.messages = [];
    this.pending = memory.unsent.map((message) => ({ ...message, problem: null }));
    this.streams = new Map();
    this.typing = null;
    this.mode = 'bot';
    this.sessionId = null;
    this.after = null;
    this.remarks = 0;
    this.line = new Line(
      () => ({ url: url(this.after), token: this.memory.chat.resumeToken }),
      (frame) => this.heard(frame),
      (state) => this.turned(state),
    );
    // Only somebody who has a chat, or begins one, is worth a connection.
    if (memory.chat.resumeToken || this.pending.length > 0) this.line.open();
  }

  /** How the connection is. */
  get state() {
    return this.line?.state ?? 'idle';
  }

  /** How many messages of others came after what was seen last. */
  get unread() {
    const { seen } = this.memory.chat;
    const last = this.messages.findIndex(({ id }) => id === seen);
    // Until the one that was seen is there, everything would count as new.
    if (seen && last < 0 && this.messages.length < REPLAYED_AT_MOST) return 0;
    return this.messages.slice(last + 1).filter(({ from }) => from === 'bot' || from === 'operator').length;
  }

  /** All there is has been seen. */
  see() {
    const last = this.messages.findLast(({ from }) => from !== 'remark');
    if (last && last.id !== this.memory.chat.seen) this.memory.keep({ seen: last.id });
  }

  /** Whether no more can wait to be sent. */
  get isFull() {
    return this.pending.length >= MOST_UNSENT;
  }

  send(text) {
    this.tellTyping(false);
    const message = { clientId: newId(), text, problem: null };
    this.pending.push(message);
    this.saveUnsent();
    this.line.open();
    this.deliver(message);
    this.onChange();
  }

  /** Sends once more what was refused; the same id makes that harmless. */
  retry(message) {
    message.problem = null;
    this.line.open();
    this.deliver(message);
    this.onChange();
  }

  /** Takes back what was refused; returns its text. */
  takeBack(message) {
    this.pending = this.pending.filter((other) => other !== message);
    this.saveUnsent();
    this.onChange();
    return message.text;
  }

  saveUnsent() {
    this.memory.unsent = this.pending;
  }

  deliver({ clientId, text }) {
    if (this.line.send({ type: 'message', text, clientId })) this.expectAnswer();
  }

  /** A connection that swallows messages without a sign is dead. */
  expectAnswer() {
    clearTimeout(this.overdue);
    const owed = this.state === 'live' && this.pending.some(({ problem }) => problem === null);
    if (owed) this.overdue = setTimeout(() => this.line.drop(), ANSWER_MS);
  }

  /** Says that the visitor types, or has stopped. */
  tellTyping(active) {
    clearTimeout(this.typingPause);
    if (active) this.typingPause = setTimeout(() => this.tellTyping(false), TELL_TYPING_MS + 1000);
    const now = Date.now();
    if (active ? now - (this.toldTyping ?? 0) < TELL_TYPING_MS : !this.toldTyping) return;
    this.toldTyping = active && this.line.send({ type: 'typing', active }) ? now : 0;
    if (!active) this.line.send({ type: 'typing', active });
  }

  turned(state) {
    if (state === 'live') this.pending.filter(({ problem }) => problem === null).forEach((message) => this.deliver(message));
    else {
      this.expectAnswer();
      this.toldTyping = 0;
      this.streams.clear();
      this.showTyping(null);
    }
    if (state === 'erased') {
      this.memory.forget();
      this.clear();
      this.remark(WORDS.erased);
    }
    this.onChange();
  }

  /** Nothing was said yet; what is not sent stays. */
  clear() {
    this.sessionId = null;
    this.messages = [];
    this.after = null;
  }

  heard(frame) {
    const hear = { session, message, delta, typing, ack, status, error }[frame.type];
    hear?.call(this, frame);
    this.messages.splice(0, this.messages.length - MOST_MESSAGES);
    this.onChange();
  }

  remark(text) {
    this.remarks += 1;
    this.messages.push({ id: `remark-${this.remarks}`, from: 'remark', text });
  }

  showTyping(from) {
    clearTimeout(this.typingEnd);
    this.typing = from;
    if (from !== null) {
      this.typingEnd = setTimeout(() => {
        this.typing = null;
        this.onChange();
      }, TYPING_MS[from] ?? TYPING_MS.operator);
    }
  }
}

// What each frame of the service means; `this` is the chat.

function session({ sessionId, resumeToken, resumed, mode }) {
  // A token that the service no longer knows, or the chat that another tab has begun meanwhile.
  if (this.sessionId && this.sessionId !== sessionId) this.clear();
  if (!resumed) this.memory.forget();
  this.sessionId = sessionId;
  this.memory.keep({ sessionId, ...(resumeToken ? { resumeToken } : {}) });
  this.mode = mode;
}

function message({ messageId, from, name, text, timestamp, clientId }) {
  this.streams.delete(messageId);
  // One that this tab has sent, and whose acknowledgement was lost.
  if (from === 'user' && clientId) ack.call(this, { clientId, messageId });
  if (from !== 'user' && this.typing === from) this.showTyping(null);
  const isNew = !this.messages.some(({ id }) => id === messageId);
  // One that is known already takes the place that the service gives it.
  this.messages = this.messages.filter(({ id }) => id !== messageId);
  this.messages.push({ id: messageId, from, name, text: String(text), at: timestamp });
  this.after = messageId;
  if (isNew && from !== 'user') this.onSaid(this.messages.at(-1));
}

function delta({ messageId, index, text, reset }) {
  if (reset) {
    this.streams.delete(messageId);
    return;
  }
  const parts = this.streams.get(messageId) ?? [];
  parts[index] = text;
  this.streams.set(messageId, parts);
}

function typing({ from, active }) {
  if (from !== 'user' && (active || this.typing === from)) this.showTyping(active ? from : null);
}

function ack({ clientId, messageId }) {
  const sent = this.pending.find((one) => one.clientId === clientId);
  if (!sent) return;
  this.pending = this.pending.filter((one) => one !== sent);
  this.expectAnswer();
  this.saveUnsent();
  const known = this.messages.some(({ id }) => id === messageId);
  if (!known) this.messages.push({ id: messageId, from: 'user', text: sent.text, at: new Date().toISOString(), key: clientId });
}

function status({ mode }) {
  if (mode !== this.mode) this.remark(mode === 'operator' ? WORDS.joined : WORDS.left);
  this.mode = mode;
}

function error({ code, error: why, clientId }) {
  if (code === 'bot_unavailable') {
    this.showTyping(null);
    this.remark(why || WORDS.troubled);
    return;
  }
  const refused = this.pending.find((one) => one.clientId === clientId);
  if (!refused) return;
  refused.problem = { text: why || WORDS.unsent, passing: PASSING.includes(code) };
  this.expectAnswer();
}

function newId() {
  // `crypto.randomUUID` exists only on https and localhost.
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, '0')).join('');
}
