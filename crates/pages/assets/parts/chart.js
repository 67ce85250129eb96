// A chart of bars or lines over named points, with the same numbers as a table. The drawing library is loaded when the
// first chart is shown. Refuses to know what the numbers are.
import { html, useEffect, useRef, useState } from '../html.js';
import { onColoursChange } from '../theme.js';

/**
 * `points`: `[{name, value}…]` from left to right, `name` as shown at the axis. `unit`: of one value, as in `12 calls`.
 * `summary`: the whole in a sentence. `kind`: `bars` or `lines`. `pointTitle`: the heading of the table's first column.
 */
export function Chart({ label, points, unit, summary, pointTitle, kind = 'bars', height = 160 }) {
  const holder = useRef(null);
  const [hovered, setHovered] = useState(null);
  const plot = useRef(null);
  const latest = useRef(points);
  latest.current = points;
  useEffect(() => drawInto(holder.current, latest, kind, height, setHovered, plot), [kind, height]);
  useEffect(() => plot.current?.setData(dataOf(points)), [points]);
  const shown = points[hovered];
  return html`<div class="chart">
    <div class="chart-plot" role="img" aria-label=${`${label}. ${summary}`} ref=${holder}
      style=${{ height: `${height}px` }}></div>
    <p class="chart-readout" aria-hidden="true">${shown ? `${shown.name}: ${unit(shown.value)}` : summary}</p>
    <details class="chart-table">
      <summary>Show as a table</summary>
      <div class="table-scroll short" tabindex="0" role="region" aria-label=${`${label}, as a table`}><table class="table">
        <caption class="visually-hidden">${label}</caption>
        <thead><tr><th scope="col">${pointTitle}</th><th scope="col" class="number">${label}</th></tr></thead>
        <tbody>${[...points].reverse().map(({ name, value }) => html`
          <tr key=${name}><th scope="row">${name}</th><td class="number">${value.toLocaleString('en')}</td></tr>`)}</tbody>
      </table></div>
    </details>
  </div>`;
}

function dataOf(points) {
  return [points.map((_, index) => index), points.map(({ value }) => value)];
}

/** Draws, and draws anew when the width or the colours change. Returns how to stop. */
function drawInto(holder, latest, kind, height, onHover, plot) {
  let gone = false;
  const draw = async () => {
    const { default: UPlot } = await import('../vendor/uplot.mjs');
    if (gone || holder.clientWidth === 0) return;
    plot.current?.destroy();
    plot.current = new UPlot(options(UPlot, holder, latest, kind, height, onHover), dataOf(latest.current), holder);
  };
  const sized = new ResizeObserver(draw);
  sized.observe(holder);
  const forgetColours = onColoursChange(draw);
  return () => {
    gone = true;
    sized.disconnect();
    forgetColours();
    plot.current?.destroy();
    plot.current = null;
  };
}

const NAME_STEPS = [1, 2, 5, 7, 10, 15, 30];
// Whole numbers only: nobody makes half a call, and half a minute is told by the read-out.
const VALUE_STEPS = [1, 10, 100, 1000, 10_000, 100_000].flatMap((step) => [step, 2 * step, 5 * step]);

function options(UPlot, holder, latest, kind, height, onHover) {
  const style = getComputedStyle(holder);
  // Custom properties reach a canvas only as resolved colours: `color` and two borders of the holder carry them.
  const [ink, line, accent] = [style.color, style.borderTopColor, style.borderBottomColor];
  const axis = { stroke: ink, font: `11px ${style.fontFamily}`, gap: 4, ticks: { show: false } };
  return {
    width: holder.clientWidth,
    height,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, x: kind === 'lines', drag: { x: false, y: false }, points: { show: kind === 'lines' } },
    scales: {
      x: { time: false, range: (_, from, to) => [from - 0.5, to + 0.5] },
      y: { range: (_, from, to) => [0, Math.max(4, Math.ceil(to * 1.1))] },
    },
    axes: [
      { ...axis, size: 24, grid: { show: false }, space: 64, incrs: NAME_STEPS,
        values: (_, splits) => splits.map((index) => latest.current[index]?.name ?? '') },
      { ...axis, size: 44, grid: { stroke: line, width: 1 }, space: 32, incrs: VALUE_STEPS },
    ],
    series: [{}, kind === 'bars'
      ? { fill: accent, width: 0, points: { show: false }, paths: UPlot.paths.bars({ size: [0.7, 28], radius: 0.1 }) }
      : { stroke: accent, width: 2, points: { show: false } }],
    hooks: { setCursor: [(chart) => onHover(chart.cursor.idx ?? null)] },
  };
}
