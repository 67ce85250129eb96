// A visitor of a web site with the chat on it: a real WebSocket, and everything that came over it.
import { randomUUID } from 'node:crypto';
import { soon } from './setting.js';

export class Visitor {
  frames = [];

  constructor(channel = 'default') {
    const url = new URL(process.env.CHAT_WS_URL);
    if (channel !== 'default') url.searchParams.set('channel', channel);
    this.socket = new WebSocket(url, ['switchhook.v1']);
    this.socket.addEventListener('message', ({ data }) => this.frames.push({ ...JSON.parse(data), at: performance.now() }));
  }

  /** Opens a chat and runs `work` in it. */
  static async during(channel, work) {
    const visitor = new Visitor(channel);
    try {
      visitor.id = (await visitor.next('the session', ({ type }) => type === 'session')).sessionId;
      return await work(visitor);
    } finally {
      visitor.socket.close();
    }
  }

  /** Writes, and returns the id under which the message is stored. */
  async write(text) {
    const clientId = randomUUID();
    this.socket.send(JSON.stringify({ type: 'message', text, clientId }));
    return (await this.next(`the ack of "${text}"`, (frame) => frame.type === 'ack' && frame.clientId === clientId)).messageId;
  }

  /** The first frame that is wanted, once it is there. */
  next(what, isWanted) {
    return soon(`${what} comes`, async () => this.frames.find(isWanted));
  }

  /** What others said, in the order in which it came. */
  get heard() {
    return this.frames.filter(({ type, from }) => type === 'message' && from !== 'user');
  }

  get texts() {
    return this.heard.map(({ text }) => text);
  }

  /** Waits until so many messages of others are there. */
  hears(count) {
    return soon(`${count} messages come to ${this.id}`, async () => this.heard.length >= count && this.texts);
  }
}
