// Which calls are looked for. The address holds it, the service looks: for the list and the CSV file alike.
import { changeAddress, useParameter } from './shared/address.js';
import { useSettled } from './shared/pace.js';

/** The choice that narrows nothing. */
export const EVERY = 'all';
const TYPING_MS = 250;

/** The filters and how to change them; `query` for the API, `any` whether they narrow anything. */
export function useFilters() {
  const [search, setSearch] = useParameter('q', '', { replace: true });
  const [sentiment, setSentiment] = useParameter('sentiment', EVERY);
  const [from, setFrom] = useParameter('from', '');
  const [to, setTo] = useParameter('to', '');
  const query = queryOf({ q: useSettled(search.trim(), TYPING_MS), sentiment, from, to });
  return {
    search, setSearch, sentiment, setSentiment, from, setFrom, to, setTo, query,
    any: query !== '',
    clear: () => changeAddress({ q: null, sentiment: null, from: null, to: null }),
  };
}

/** `?q=…&sentiment=…`, or nothing. */
export function queryOf({ q, sentiment, from, to }) {
  const given = Object.entries({ q, sentiment: sentiment === EVERY ? '' : sentiment, from, to }).filter(([, value]) => value !== '');
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}
