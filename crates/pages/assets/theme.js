import { createStore } from './store.js';
import { recall, remember } from './preferences.js';

const THEMES = ['auto', 'light', 'dark'];
const system = matchMedia('(prefers-color-scheme: dark)');

/** `auto` (as the system), `light` or `dark`. */
export const theme = createStore(THEMES.includes(recall('theme')) ? recall('theme') : 'auto');

/** Applies and remembers a theme. */
export function chooseTheme(name) {
  remember('theme', name === 'auto' ? null : name);
  if (name === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  theme.set(name);
}

/** The theme after this one, in the order of the switch. */
export function themeAfter(name) {
  return THEMES[(THEMES.indexOf(name) + 1) % THEMES.length];
}

/** Calls back whenever the colours on the screen change; returns how to stop. For what draws on a canvas. */
export function onColoursChange(callback) {
  const forget = theme.subscribe(callback);
  system.addEventListener('change', callback);
  return () => {
    forget();
    system.removeEventListener('change', callback);
  };
}
