// What was said, by whom: bubbles at two sides, remarks in the middle. Refuses to know where the words come from; whatever
// they look like, they are text.
import { html } from '../html.js';
import { Time } from '../time.js';

/**
 * `turns`: `[{speaker, text, at?, key?, note?}…]`, oldest first; `at` is when, `key` keeps a turn itself when others come
 * before it, `note` is markup that stands below it.
 * `speakerOf(speaker)`: `{name, side}` with side `left`, `right` or `middle` (for what nobody said: tools, transfers).
 * `live`: read new turns out as they come.
 */
export function Transcript({ label, turns, speakerOf, live = false }) {
  return html`<div class="transcript" role=${live ? 'log' : undefined} aria-label=${live ? label : undefined}>
    <ol aria-label=${label}>
      ${turns.map((turn, index) => html`<${Turn} key=${turn.key ?? index} turn=${turn} by=${speakerOf(turn.speaker)}
        goesOn=${turns[index - 1]?.speaker === turn.speaker} />`)}
    </ol>
  </div>`;
}

/** `goesOn`: the speaker has just been named. */
function Turn({ turn, by, goesOn }) {
  return html`<li class="turn ${by.side}">
    <p class=${goesOn && !turn.at ? 'visually-hidden' : 'turn-by'}>
      ${by.name}${turn.at && html` · <${Time} at=${turn.at} />`}<span class="visually-hidden">: </span>
    </p>
    <p class="turn-text">${turn.text}</p>
    ${turn.note && html`<div class="turn-note">${turn.note}</div>`}
  </li>`;
}
