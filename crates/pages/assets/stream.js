// A live stream (Server-Sent Events) that says how it is doing: it reconnects by itself, notices silence, continues after
// the last event it saw, and tells its owner to refill what may have been missed.
// It reads the stream by `fetch`, because `EventSource` hides both the status of a refusal and the server's heartbeats.
// Refuses to know what the events mean.
import { learnServerTime } from './time.js';

const SILENCE_MS = 40_000;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;
// A stream that ends sooner than this was no success: an expiring token opens streams that end at once.
const SUCCESS_MS = 10_000;

/**
 * Opens the stream at `path`; returns how to close it.
 * `onEvent({event, id, data})`; `onState({state: 'connecting'|'live'|'reconnecting', since})`;
 * `onReopen()` after a gap; `onUnauthorized()` when the credential is refused, which ends the stream.
 */
export function openStream(path, handlers) {
  const stream = new LiveStream(path, handlers);
  stream.run();
  return () => stream.close();
}

class LiveStream {
  constructor(path, handlers) {
    this.path = path;
    this.handlers = handlers;
    this.closed = false;
    this.lastEventId = null;
    this.failures = 0;
    this.wasLive = false;
    this.wake = () => {};
    this.hurry = () => this.wake();
    this.dropOut = () => this.abort?.abort();
  }

  async run() {
    this.say('connecting');
    addEventListener('online', this.hurry);
    // An open connection does not notice that the network is gone; the browser does.
    addEventListener('offline', this.dropOut);
    document.addEventListener('visibilitychange', this.hurry);
    while (!this.closed) {
      const verdict = await this.connectOnce();
      if (this.closed || verdict === 'unauthorized') break;
      this.say('reconnecting');
      await this.pause();
    }
    this.close();
  }

  close() {
    this.closed = true;
    this.abort?.abort();
    this.wake();
    removeEventListener('online', this.hurry);
    removeEventListener('offline', this.dropOut);
    document.removeEventListener('visibilitychange', this.hurry);
  }

  /** One connection from opening to its end, whatever ends it. */
  async connectOnce() {
    this.abort = new AbortController();
    this.openedAt = null;
    try {
      const headers = { accept: 'text/event-stream' };
      if (this.lastEventId !== null) headers['last-event-id'] = this.lastEventId;
      const response = await fetch(this.path, { headers, cache: 'no-store', signal: this.abort.signal });
      learnServerTime(response);
      if (response.status === 401) {
        this.handlers.onUnauthorized?.();
        return 'unauthorized';
      }
      if (!response.ok) throw new Error(`status ${response.status}`);
      this.opened();
      await this.read(response.body);
    } catch {
      // A broken connection, a refusal and a silence all lead to the same: the state says so and the loop tries again.
    } finally {
      clearTimeout(this.silence);
    }
    if (this.openedAt !== null && Date.now() - this.openedAt > SUCCESS_MS) this.failures = 0;
    return 'ended';
  }

  opened() {
    this.openedAt = Date.now();
    if (this.wasLive) this.handlers.onReopen?.();
    this.wasLive = true;
    this.say('live');
  }

  async read(body) {
    const parser = new EventParser();
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    this.expectSound();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.expectSound();
      for (const event of parser.push(value)) {
        if (event.id !== null) this.lastEventId = event.id;
        if (!this.closed) this.handlers.onEvent(event);
      }
    }
  }

  expectSound() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.abort.abort(), SILENCE_MS);
  }

  pause() {
    const longest = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures);
    this.failures += 1;
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, longest * (0.5 + Math.random() / 2));
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  say(state) {
    if (this.closed || state === this.state) return;
    this.state = state;
    this.handlers.onState?.({ state, since: new Date().toISOString() });
  }
}

/** Cuts a stream of text into events. Chunks may end anywhere, even between the two characters of a line end. */
export class EventParser {
  constructor() {
    this.rest = '';
    this.fields = { event: 'message', id: null, data: [] };
  }

  push(text) {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop();
    return lines.flatMap((line) => this.line(line.endsWith('\r') ? line.slice(0, -1) : line));
  }

  line(line) {
    if (line === '') return this.flush();
    const colon = line.indexOf(':');
    if (colon === 0) return [];
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (name === 'data') this.fields.data.push(value);
    else if (name === 'event' || name === 'id') this.fields[name] = value;
    return [];
  }

  flush() {
    const { event, id, data } = this.fields;
    this.fields = { event: 'message', id: null, data: [] };
    return data.length > 0 ? [{ event, id, data: data.join('\n') }] : [];
  }
}
