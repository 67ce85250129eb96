// The frame around every page: the five services, the state of the live connection, the user, theme and help.
// Refuses to know what the page inside shows.
import { html, useState } from './html.js';
import { Icon } from './icons.js';
import { ShortcutHelp } from './keyboard.js';
import { connection } from './connection.js';
import { useStore } from './store.js';
import { chooseTheme, theme, themeAfter } from './theme.js';
import { timeOfDay } from './time.js';
import { Confirmations } from './parts/confirm.js';
import { ActionButton } from './parts/button.js';
import { Toasts } from './parts/toast.js';

const ENTRIES = [
  ['sessions', 'Sessions'],
  ['calls', 'Calls'],
  ['chats', 'Chats'],
  ['dispatches', 'Dispatches'],
  ['tasks', 'Tasks'],
];

/** `page`: what `page.json` said. `onSignOut`: returns a promise. */
export function Frame({ page, onSignOut, children }) {
  const [help, setHelp] = useState(false);
  return html`
    <a class="skip-link" href="#content">Skip to the content</a>
    <${Navigation} page=${page} />
    <div class="column">
      <header class="top">
        <h1>${page.title}</h1>
        <div class="top-tools">
          <${Connection} />
          <${ThemeSwitch} />
          <button type="button" class="icon-button" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)"
            onClick=${() => setHelp(true)}><${Icon} name="keyboard" /></button>
          ${page.user && html`<${User} user=${page.user} onSignOut=${onSignOut} />`}
        </div>
      </header>
      <main id="content" tabindex="-1">${children}</main>
      <${Footer} page=${page} />
    </div>
    <${ShortcutHelp} open=${help} onOpen=${() => setHelp(true)} onClose=${() => setHelp(false)} />
    <${Confirmations} />
    <${Toasts} />`;
}

function Navigation({ page }) {
  const entries = ENTRIES.filter(([key]) => page.pages[key]);
  return html`<nav class="nav" aria-label="Services"><div class="nav-inner">
    <span class="nav-name">Switchhook</span>
    <ul>${entries.map(([key, text]) => html`<li key=${key}>
      <a href=${page.pages[key]} aria-current=${key === page.current ? 'page' : undefined}>
        <${Icon} name=${key} /><span>${text}</span>
      </a></li>`)}
    </ul>
  </div></nav>`;
}

const CONNECTIONS = {
  live: { tone: 'good', text: () => 'Live' },
  connecting: { tone: 'neutral', text: () => 'Connecting' },
  polling: {
    tone: 'neutral',
    text: () => 'Asking every second',
    title: 'The live connection does not come through; the service is asked instead.',
  },
  reconnecting: {
    tone: 'warn',
    text: (since) => `Reconnecting since ${timeOfDay(since)}`,
    title: 'What you see may be out of date. It is refreshed as soon as the service answers.',
  },
};

function Connection() {
  const state = useStore(connection);
  if (state === null) return null;
  const { tone, text, title } = CONNECTIONS[state.state];
  return html`<span class="connection ${tone}" role="status" title=${title}><span class="dot"></span>${text(state.since)}</span>`;
}

function ThemeSwitch() {
  const current = useStore(theme);
  return html`<button type="button" class="icon-button" aria-label=${`Theme: ${current}. Switch to ${themeAfter(current)}`}
    title=${`Theme: ${current}`} onClick=${() => chooseTheme(themeAfter(current))}><${Icon} name=${`theme-${current}`} /></button>`;
}

function User({ user, onSignOut }) {
  const name = user.email ?? user.id;
  return html`<span class="user" title=${name}>${name}</span>
    <${ActionButton} tone="small quiet" busyText="Signing out …" onAct=${onSignOut}>Sign out<//>`;
}

function Footer({ page }) {
  if (page.service === '') return html`<footer class="foot"></footer>`;
  const kept = page.retentionDays === 0 ? 'Data is kept without a time limit.' : `Data is kept for ${page.retentionDays} days.`;
  return html`<footer class="foot">
    <span>${kept}</span>
    <span>${page.service} ${page.version}</span>
    <a href="docs/">API documentation</a>
  </footer>`;
}
