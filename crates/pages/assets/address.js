// What the address holds: the open item and the filters, as query parameters, so that links and the back button work.
import { useCallback } from './html.js';
import { createStore, useStore } from './store.js';

const query = createStore(location.search);
addEventListener('popstate', () => query.set(location.search));

/** The address of this page with some parameters changed; null or '' removes one. Relative, for links. */
export function addressWith(changes) {
  const parameters = new URLSearchParams(query.get());
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === '') parameters.delete(name);
    else parameters.set(name, value);
  }
  const text = parameters.toString();
  return text === '' ? location.pathname : `${location.pathname}?${text}`;
}

/** Changes parameters. `replace` is for what is typed letter by letter: back must not undo single letters. */
export function changeAddress(changes, { replace = false } = {}) {
  const address = addressWith(changes);
  // Twice the same would take two steps back.
  if (address === location.pathname + location.search) return;
  if (replace) history.replaceState(null, '', address);
  else history.pushState(null, '', address);
  query.set(location.search);
}

/** One parameter and how to change it: `const [filter, setFilter] = useParameter('outcome', 'all')`. */
export function useParameter(name, fallback, options) {
  const value = new URLSearchParams(useStore(query)).get(name) ?? fallback;
  const set = useCallback(
    (next) => changeAddress({ [name]: next === fallback ? null : next }, options),
    [name, fallback],
  );
  return [value, set];
}
