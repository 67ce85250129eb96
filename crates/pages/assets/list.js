// A list that comes page by page, newest first, and changes while somebody looks at it.
// Refuses to know what the rows mean, and how they are shown.
import { useCallback, useEffect, useRef, useState } from './html.js';
import { get, pathOfNext } from './api.js';

const NOTHING = { path: null, rows: null, next: null, error: null };

/**
 * The list at `path`; another path (other filters) reads it anew and keeps the old rows until the new ones are there.
 * `shape`: `{keyOf(row), orderOf(row)}`, what makes a row itself and the text that the list goes by; `name` where the
 * service does not call its rows `items`. It must not change.
 *
 * Gives `rows` (null while nothing is known), `error`, `loading` (the rows are still those of another path), `reload`,
 * `loadMore` (null when there is no more), and for what the live stream tells: `put(row)` as it is now, `drop(key)`,
 * `replace(page)` when what was loaded counts no more.
 */
export function useList(path, shape) {
  const [list, setList] = useState(NOTHING);
  // `asked` numbers the questions whose answer is the whole list: only the latest one counts. `news`: rows that came
  // while it is under way, which its answer may not know yet; null when none is.
  const state = useRef({ asked: 0, news: null });
  const reload = useCallback(async () => {
    state.current.asked += 1;
    state.current.news = [];
    const mine = state.current.asked;
    try {
      const page = await get(path);
      if (state.current.asked !== mine) return;
      const { news } = state.current;
      setList((before) => news.reduce(
        (known, row) => placed(known, row, shape),
        before.path === path ? refilled(before, page, shape) : fresh(path, page, shape),
      ));
    } catch (error) {
      if (state.current.asked === mine) setList((before) => ({ ...(before.path === path ? before : NOTHING), path, error }));
    } finally {
      if (state.current.asked === mine) state.current.news = null;
    }
  }, [path]);
  useEffect(() => {
    reload();
  }, [reload]);
  const put = useCallback((row) => {
    state.current.news?.push(row);
    setList((before) => (before.path === path ? placed(before, row, shape) : before));
  }, [path]);
  const drop = useCallback((key) => {
    setList((before) => ({ ...before, rows: before.rows && before.rows.filter((row) => shape.keyOf(row) !== key) }));
  }, []);
  const replace = useCallback((page) => {
    state.current.asked += 1;
    state.current.news = null;
    setList(fresh(path, page, shape));
  }, [path]);
  const loadMore = async () => {
    const { asked } = state.current;
    try {
      const page = await get(list.next);
      // A list that was read anew meanwhile goes on elsewhere.
      if (state.current.asked === asked) setList((before) => continued(before, page, shape));
    } catch (error) {
      if (state.current.asked === asked) setList((before) => ({ ...before, error }));
    }
  };
  return {
    rows: list.rows,
    error: list.error,
    loading: list.path !== path,
    loadMore: list.next === null ? null : loadMore,
    reload,
    put,
    drop,
    replace,
  };
}

function rowsOf(page, { name = 'items' }) {
  return page[name];
}

function fresh(path, page, shape) {
  return { path, rows: rowsOf(page, shape), next: pathOfNext(page.next), error: null };
}

function continued(list, page, shape) {
  return { ...list, rows: merged(list.rows, rowsOf(page, shape), shape), next: pathOfNext(page.next), error: null };
}

/** The list after reading its first page again: pages loaded before stay, unless a gap has opened between. */
export function refilled(list, page, shape) {
  const first = rowsOf(page, shape);
  const last = first.at(-1);
  const at = last === undefined || !page.next ? -1 : list.rows?.findIndex((row) => shape.keyOf(row) === shape.keyOf(last)) ?? -1;
  if (at < 0) return fresh(list.path, page, shape);
  return { ...list, rows: merged(first, list.rows.slice(at + 1), shape), error: null };
}

function merged(rows, more, { keyOf }) {
  const known = new Set(rows.map(keyOf));
  return [...rows, ...more.filter((row) => !known.has(keyOf(row)))];
}

/** The list with this row as it is now: in its place, or where it belongs when it is new or has moved. */
export function placed(list, row, { keyOf, orderOf }) {
  if (list.rows === null) return list;
  const key = keyOf(row);
  const known = list.rows.find((other) => keyOf(other) === key);
  if (known !== undefined && orderOf(known) === orderOf(row)) {
    return { ...list, rows: list.rows.map((other) => (other === known ? row : other)) };
  }
  const others = list.rows.filter((other) => other !== known);
  const index = others.findIndex((other) => orderOf(other) <= orderOf(row));
  if (index >= 0) return { ...list, rows: others.toSpliced(index, 0, row) };
  // A new row that is older than all that is loaded comes with the page that it belongs to.
  return known === undefined && list.next !== null ? list : { ...list, rows: [...others, row] };
}
