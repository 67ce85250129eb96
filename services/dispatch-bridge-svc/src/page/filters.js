// Which dispatches are looked for. The address holds it, the service looks.
import { changeAddress, useParameter } from './shared/address.js';
import { useSettled } from './shared/pace.js';
import { statuses } from './words.js';

/** The choice that narrows nothing. */
export const EVERY = 'all';
const TYPING_MS = 250;

/** The filters and how to change them; `query` for the API, `any` whether they narrow anything. */
export function useFilters() {
  const [account, setAccount] = useParameter('account', '', { replace: true });
  const [status, setStatus] = useParameter('status', EVERY);
  const query = queryOf({ account: useSettled(account.trim(), TYPING_MS), status });
  return {
    account, setAccount, status, setStatus, query,
    any: query !== '',
    clear: () => changeAddress({ account: null, status: null }),
  };
}

/** `?account_code=…&status=…`, or nothing. A status that there is not narrows nothing. */
export function queryOf({ account, status }) {
  const known = statuses.some(([key]) => key === status);
  const given = [['account_code', account], ['status', known ? status : '']].filter(([, value]) => value !== '');
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}
