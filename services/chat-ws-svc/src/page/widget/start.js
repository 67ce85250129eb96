// The script tag: what it says, and where the service is.

const tag = document.currentScript;
const CHANNEL = /^[\w.-]{1,64}$/;
const MAX_PAGE_CHARS = 1000;
/** The ports of a service that stands alone: its scripts come from one, its connections go to the other. */
const ALONE = { http: '3001', ws: '8080' };

function webSocketAddress({ ws, channel }, after) {
  const url = new URL(ws || '/ws', tag.src);
  url.protocol = url.protocol.replace(/^http/, 'ws');
  if (!ws && url.port === ALONE.http) url.port = ALONE.ws;
  if (channel) url.searchParams.set('channel', channel);
  if (after) url.searchParams.set('after', after);
  url.searchParams.set('page', location.href.split('#')[0].slice(0, MAX_PAGE_CHARS));
  return url.href;
}

function start() {
  const { channel = '', title = 'Chat', color = '', ws = '' } = tag.dataset;
  if (channel !== '' && !CHANNEL.test(channel)) {
    console.warn(`Chat: data-channel is no name of a channel: ${channel}`);
    return;
  }
  const name = channel || 'default';
  // A tag that is there twice is one chat.
  if (document.querySelector(`switchhook-chat[data-channel="${name}"]`)) return;
  const view = new View({ title, color, channel: name });
  const chat = new Chat({
    memory: new Memory(name),
    url: (after) => webSocketAddress({ ws, channel }, after),
    onChange: () => view.draw(),
    onSaid: (message) => view.said(message),
  });
  view.show(chat);
  document.addEventListener('visibilitychange', () => view.draw());
}

if (document.body) start();
else document.addEventListener('DOMContentLoaded', start);
