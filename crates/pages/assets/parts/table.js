// A data table: sorted by its headers, moved through by j/k, with a sentence for each state it can be in.
// It shows the rows it gets; it refuses to know where they come from and how they are filtered.
import { html, useRef, useState } from '../html.js';
import { useShortcut } from '../keyboard.js';
import { ActionButton } from './button.js';
import { LoadError } from './load-error.js';

/**
 * `columns`: `{key, title, render(row), value(row)?, class?}`; a column with `value` can be sorted by.
 * `rows`: null while loading. `error`: what went wrong, shown with a way to try again. `empty`: what to say when there
 * are no rows. `href(row)` and `onOpen(row)`: the first cell is a real link, so that it can be opened in a tab.
 * `onMore`: loads the next page, null when there is none.
 */
export function DataTable({ caption, columns, rows, rowKey, openKey, href, onOpen, error, onRetry, empty, onMore }) {
  const [sort, setSort] = useState(null);
  const body = useRef(null);
  const sorted = rows === null ? null : sortRows(rows, columns, sort);
  useShortcut('j', 'Next row', () => moveFocus(body.current, 1));
  useShortcut('k', 'Previous row', () => moveFocus(body.current, -1));
  useShortcut('Enter', 'Open the row', null);
  if (error !== null && !(rows?.length > 0)) return html`<${LoadError} error=${error} onRetry=${onRetry} />`;
  if (sorted !== null && sorted.length === 0) return html`<div class="table-empty">${empty}</div>${more(onMore, rows)}`;
  return html`<div class="table-scroll">
    <table class="table" aria-busy=${sorted === null}>
      <caption class="visually-hidden">${caption}</caption>
      <thead><tr>
        ${columns.map((column) => html`<${HeaderCell} key=${column.key} column=${column} sort=${sort} onSort=${setSort} />`)}
      </tr></thead>
      <tbody ref=${body}>
        ${sorted === null ? skeletonRows(columns) : sorted.map((row) => html`<${Row} key=${rowKey(row)} row=${row}
          columns=${columns} open=${rowKey(row) === openKey} href=${href(row)} onOpen=${onOpen} />`)}
      </tbody>
    </table>
  </div>
  ${error !== null && html`<${LoadError} error=${error} onRetry=${onRetry} />`}
  ${more(onMore, rows)}`;
}

function HeaderCell({ column, sort, onSort }) {
  if (column.value === undefined) return html`<th scope="col" class=${column.class}>${column.title}</th>`;
  const direction = sort?.key === column.key ? sort.direction : 'none';
  const next = direction === 'descending' ? 'ascending' : 'descending';
  const marks = { none: '', ascending: ' ↑', descending: ' ↓' };
  return html`<th scope="col" class=${column.class} aria-sort=${direction}>
    <button type="button" class="sort" onClick=${() => onSort({ key: column.key, direction: next })}>
      ${column.title}<span aria-hidden="true">${marks[direction]}</span>
    </button>
  </th>`;
}

function Row({ row, columns, open, href, onOpen }) {
  const follow = (event) => {
    // A new tab or window, and text being selected, belong to the browser.
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    if (event.target.closest('a') === null && String(getSelection()) !== '') return;
    event.preventDefault();
    onOpen(row);
  };
  return html`<tr class=${open ? 'open' : ''} onClick=${follow}>
    ${columns.map((column, index) => html`<td key=${column.key} class=${column.class}>
      ${index === 0
        ? html`<a href=${href} class="row-link" aria-current=${open ? 'true' : undefined}>${column.render(row)}</a>`
        : column.render(row)}
    </td>`)}
  </tr>`;
}

function sortRows(rows, columns, sort) {
  if (sort === null) return rows;
  const { value } = columns.find((column) => column.key === sort.key);
  const sign = sort.direction === 'ascending' ? 1 : -1;
  return [...rows].sort((a, b) => sign * compare(value(a), value(b)));
}

function compare(a, b) {
  return typeof a === 'number' ? a - b : String(a).localeCompare(String(b));
}

/** Moves the focus among the rows' links; from elsewhere to the open row or the first. */
export function moveFocus(body, step) {
  const links = [...(body?.querySelectorAll('.row-link') ?? [])];
  if (links.length === 0) return;
  const focused = links.indexOf(document.activeElement);
  const from = focused >= 0 ? focused : links.findIndex((link) => link.getAttribute('aria-current') === 'true');
  const to = from < 0 ? 0 : Math.min(links.length - 1, Math.max(0, from + step));
  links[to].focus();
}

function skeletonRows(columns) {
  return [1, 2, 3].map((row) => html`<tr key=${row}>
    ${columns.map((column) => html`<td key=${column.key} class=${column.class}><span class="skeleton line"></span></td>`)}
  </tr>`);
}

function more(onMore, rows) {
  if (!onMore || rows === null) return null;
  return html`<div class="table-more"><${ActionButton} onAct=${onMore} busyText="Loading …" tone="quiet">Load more<//></div>`;
}
