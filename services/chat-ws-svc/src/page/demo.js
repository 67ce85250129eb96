// Puts the widget on the page as a site would, with what the address says: `?channel=…&title=…&color=…`.
const asked = new URLSearchParams(location.search);
const attributes = {
  channel: asked.get('channel') ?? '',
  title: asked.get('title') ?? 'Ask the workshop',
  color: asked.get('color') ?? '#2f5d43',
};

async function webSocketAddress() {
  const { settings } = await (await fetch('page.json')).json();
  if (settings.wsUrl) return settings.wsUrl;
  const url = new URL('/ws', location.href);
  url.protocol = url.protocol.replace(/^http/, 'ws');
  // Behind a proxy both are at one host.
  if (location.port !== '') url.port = settings.wsPort;
  return url.href;
}

/** The tag as a site would have it. */
function written(src, data) {
  const quoted = (text) => `"${text.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}"`;
  const named = Object.entries(data).filter(([, value]) => value !== '').map(([name, value]) => ` data-${name}=${quoted(value)}`);
  return `<script src=${quoted(src)}${named.join('')} defer></${'script'}>`;
}

async function show() {
  const script = document.createElement('script');
  script.src = new URL('widget.js', location.href).href;
  const ws = await webSocketAddress();
  Object.assign(script.dataset, { ...attributes, ws });
  document.getElementById('line').textContent = written(script.src, { ...attributes, ws });
  document.body.append(script);
}

show();
