// The icons, drawn for these pages on a 16 by 16 grid. They are decoration: a word always stands beside them.
import { html } from './html.js';

const shapes = {
  sessions: html`<path d="M2.5 13.5v-5M6.2 13.5v-11M9.8 13.5v-7M13.5 13.5v-9" />`,
  calls: html`<path d="M5.4 2.5H3.2c-.5 0-.8.4-.7.9.5 5 4.1 8.6 9.1 9.1.5.1.9-.2.9-.7V9.600l-2.7-.9-1.3 1.300C6.9 9.2 5.8 8.1 5 6.500l1.3-1.300z" />`,
  chats: html`<path d="M2.5 3.500h11v7.500h-6L4.5 13.500v-2.500h-2z" />`,
  dispatches: html`<path d="M2.5 8h9M8 4l4 4-4 4M13.5 3v10" />`,
  tasks: html`<path d="m2.5 4.5 1.2 1.200L6 3.300M2.5 11l1.2 1.200L6 9.800M8.5 4.500h5M8.5 11h5" />`,
  done: html`<circle cx="8" cy="8" r="6" /><path d="m5.3 8.2 1.9 1.9 3.5-4" />`,
  failed: html`<circle cx="8" cy="8" r="6" /><path d="m5.8 5.8 4.4 4.400M10.2 5.800l-4.4 4.4" />`,
  warning: html`<path d="M8 2.2 14.2 13H1.800zM8 6.400v3M8 11.100v.2" />`,
  info: html`<circle cx="8" cy="8" r="6" /><path d="M8 7.300v3.600M8 5v.2" />`,
  active: html`<circle cx="8" cy="8" r="6" /><circle cx="8" cy="8" r="2.5" class="filled" />`,
  stopped: html`<circle cx="8" cy="8" r="6" /><path d="M5.8 8h4.4" />`,
  waiting: html`<circle cx="8" cy="8" r="6" /><path d="M8 4.800V8l2.2 1.5" />`,
  close: html`<path d="m4 4 8 8M12 4l-8 8" />`,
  copy: html`<path d="M5.5 5.500h8v8h-8zM10.5 5.500v-3h-8v8h3" />`,
  search: html`<circle cx="7" cy="7" r="4.5" /><path d="m10.4 10.4 3.1 3.1" />`,
  keyboard: html`<path d="M1.5 4h13v8h-13zM4 6.500h.1M6.6 6.500h.1M9.3 6.500h.1M12 6.500h.1M4.8 9.500h6.4" />`,
  'theme-auto': html`<circle cx="8" cy="8" r="5.5" /><path class="filled" d="M8 2.500a5.5 5.5 0 0 1 0 11z" />`,
  'theme-light': html`<circle cx="8" cy="8" r="3" /><path d="M8 1.500v1.300M8 13.200v1.300M1.5 8h1.300M13.2 8h1.300M3.4 3.400l.9.9M11.7 11.700l.9.9M3.4 12.600l.9-.9M11.7 4.300l.9-.9" />`,
  'theme-dark': html`<path d="M13 9.700A5.5 5.5 0 0 1 6.3 3 5.5 5.5 0 1 0 13 9.700z" />`,
};

/** One icon by its name. */
export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true" focusable="false">${shapes[name]}</svg>`;
}
