// Follows one task: by its stream, and while that does not come through, by asking every second for as long as an answer
// is waited for. Refuses to know what the news mean.
import { reportUnauthorized } from './shared/api.js';
import { connection } from './shared/connection.js';
import { openStream } from './shared/stream.js';

const POLL_MS = 1000;
const LONGEST_POLL_MS = 15_000;

/**
 * `handlers`: `onEvent(name, data)` for what the stream tells; `onGap()` when something may have been missed; `waits()`
 * whether an answer is waited for; `look()` reads the task anew and resolves to whether that worked. Gives `{close, expect}`:
 * `expect` says that from now on an answer may be waited for.
 */
export function watch(path, handlers) {
  const watcher = new Watch(path, handlers);
  return { close: () => watcher.close(), expect: () => watcher.expect() };
}

class Watch {
  constructor(path, handlers) {
    this.handlers = handlers;
    // A proxy may open the stream and keep what comes to itself: it counts once something has come.
    this.proven = false;
    this.state = { state: 'connecting', since: new Date().toISOString() };
    this.pause = POLL_MS;
    this.polling = false;
    this.timer = null;
    this.closed = false;
    this.closeStream = openStream(path, {
      onEvent: ({ event, data }) => this.heard(event, data),
      onState: (state) => this.turned(state),
      onReopen: handlers.onGap,
      onUnauthorized: reportUnauthorized,
    });
    this.expect();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.closeStream();
    connection.set(null);
  }

  heard(event, data) {
    this.proven = true;
    this.handlers.onEvent(event, JSON.parse(data));
    this.show();
  }

  turned(state) {
    this.state = state;
    this.show();
    this.expect();
  }

  get comesThrough() {
    return this.proven && this.state.state === 'live';
  }

  get needed() {
    return !this.closed && !this.comesThrough && this.handlers.waits();
  }

  show() {
    if (this.closed) return;
    const { state, since } = this.state;
    if (this.comesThrough) this.polling = false;
    if (this.polling) connection.set({ state: 'polling', since });
    else connection.set(state === 'live' && !this.proven ? { state: 'connecting', since } : this.state);
  }

  expect() {
    if (this.closed || this.timer !== null || this.comesThrough) return;
    this.timer = setTimeout(() => this.poll(), this.pause);
  }

  async poll() {
    const worked = this.needed && (await this.handlers.look());
    this.pause = worked || !this.needed ? POLL_MS : Math.min(2 * this.pause, LONGEST_POLL_MS);
    this.polling = worked && this.needed;
    this.timer = null;
    if (this.needed) this.expect();
    this.show();
  }
}
