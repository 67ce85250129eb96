import { html } from '../html.js';

/**
 * How a whole is split: a table whose bars are in its cells, so that it is its own alternative.
 * `parts`: `[{key, name, value}…]`, `name` may be markup. `title`: what is split. `unit`: the heading of the counts.
 */
export function Split({ title, unit, parts, empty }) {
  const total = parts.reduce((sum, { value }) => sum + value, 0);
  if (total === 0) return html`<div class="split"><h3>${title}</h3><p class="muted">${empty}</p></div>`;
  return html`<div class="split">
    <h3>${title}</h3>
    <table class="table">
      <caption class="visually-hidden">${title}</caption>
      <thead class="visually-hidden"><tr><th scope="col">${title}</th><td></td><th scope="col">${unit}</th><th scope="col">Share</th></tr></thead>
      <tbody>${parts.map(({ key, name, value }) => html`<tr key=${key}>
        <th scope="row">${name}</th>
        <td class="split-bar"><div class="split-fill" style=${{ width: `${(100 * value) / total}%` }}></div></td>
        <td class="number">${value.toLocaleString('en')}</td>
        <td class="number muted">${percent(value, total)}</td>
      </tr>`)}</tbody>
    </table>
  </div>`;
}

/** Rounded; a little of something is never told as nothing. */
function percent(value, total) {
  const share = (100 * value) / total;
  return share > 0 && share < 1 ? '< 1 %' : `${Math.round(share)} %`;
}
