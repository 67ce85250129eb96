// The connection: it comes back by itself, and says how it is. Refuses to know what the frames mean, but for the first one,
// which says that the other end is there.

const PROTOCOL = 'switchhook.v1';
const FIRST_WAIT_MS = 5000;
const LONGEST_WAIT_MS = 60_000;
const OVERLOADED_WAIT_MS = 30_000;
/** Longest from the attempt to the first frame, and from a message to its acknowledgement. */
const ANSWER_MS = 15_000;
/** Nobody's impatience makes attempts follow each other faster. */
const SHORTEST_WAIT_MS = 2000;
const FORBIDDEN = 1008;
const OVERLOADED = 1013;
const ERASED = 4404;

class Line {
  /** `address()`: `{url, token}` for the next attempt. `onFrame(frame)`; `onState('connecting'|'live'|'waiting'|'refused'|'erased')`. */
  constructor(address, onFrame, onState) {
    this.address = address;
    this.onFrame = onFrame;
    this.onState = onState;
    this.state = 'idle';
    this.failures = 0;
    this.attemptedAt = 0;
    addEventListener('online', () => this.hurry());
    // An open connection does not notice that the network is gone; the browser does.
    addEventListener('offline', () => this.drop());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.hurry());
  }

  /** Connects, unless it is or was told that it may not. */
  open() {
    if (this.state === 'idle' || this.state === 'erased') this.attempt();
    else this.hurry();
  }

  /** Ends a wait. */
  hurry() {
    if (this.state !== 'waiting') return;
    const since = Date.now() - this.attemptedAt;
    this.attemptIn(Math.max(0, SHORTEST_WAIT_MS - since));
  }

  send(frame) {
    if (this.state !== 'live') return false;
    this.socket.send(JSON.stringify(frame));
    return true;
  }

  attempt() {
    clearTimeout(this.timer);
    this.attemptedAt = Date.now();
    this.say('connecting');
    const { url, token } = this.address();
    try {
      this.socket = new WebSocket(url, token ? [PROTOCOL, `resume.${token}`] : [PROTOCOL]);
    } catch (error) {
      // An address that is none, or an unsafe one on a safe page: no later attempt would fare better.
      console.warn(`Chat: ${error.message}`);
      this.say('refused');
      return;
    }
    const { socket } = this;
    socket.onmessage = ({ data }) => socket === this.socket && this.heard(data);
    socket.onclose = ({ code, reason }) => socket === this.socket && this.lost(code, reason);
    this.timer = setTimeout(() => this.drop(), ANSWER_MS);
  }

  heard(data) {
    let frame = null;
    try {
      frame = JSON.parse(data);
    } catch {
      return;
    }
    if (frame?.type === 'session') {
      clearTimeout(this.timer);
      this.failures = 0;
      this.onFrame(frame);
      this.say('live');
    } else if (frame !== null && this.state === 'live') this.onFrame(frame);
  }

  /** Gives up a connection that is dead or may be. */
  drop() {
    if (!this.socket) return;
    const { socket } = this;
    this.socket = null;
    socket.close();
    this.lost(0, '');
  }

  lost(code, reason) {
    this.socket = null;
    clearTimeout(this.timer);
    if (code === FORBIDDEN) {
      console.warn(`Chat: the service refused this page: ${reason || 'origin or channel'}`);
      this.say('refused');
    } else if (code === ERASED) this.say('erased');
    else {
      const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.failures);
      this.failures += 1;
      const wait = code === OVERLOADED ? Math.max(longest, OVERLOADED_WAIT_MS) : longest;
      // Not all visitors at once when a service comes back.
      this.attemptIn(wait * (0.8 + 0.4 * Math.random()));
      this.say('waiting');
    }
  }

  attemptIn(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.attempt(), ms);
  }

  say(state) {
    if (state === this.state) return;
    this.state = state;
    this.onState(state);
  }
}
