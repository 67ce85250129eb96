import { html, useCallback, useEffect, useMemo, useState } from './shared/html.js';
import { useParameter } from './shared/address.js';
import { get } from './shared/api.js';
import { calendarDay } from './shared/time.js';
import { Chart } from './shared/parts/chart.js';
import { Choice } from './shared/parts/choice.js';
import { LoadError } from './shared/parts/load-error.js';
import { paths } from './sessions.js';
import { calls } from './words.js';

const RANGES = [['7', '7 days'], ['30', '30 days'], ['90', '90 days']];

/** Calls per day as a chart. Today's count is live; the days before it are read again after a gap. */
export function CallsPerDay({ callsMadeToday, reloads, dayTimezone }) {
  const [days, setDays] = useParameter('days', '30');
  const [items, setItems] = useState(null);
  const [error, setError] = useState(null);
  const load = useCallback(async () => {
    try {
      const answer = await get(paths.stats(days));
      setItems(answer.items);
      setError(null);
    } catch (refusal) {
      setError(refusal);
    }
  }, [days]);
  useEffect(() => {
    load();
  }, [load, reloads]);
  // A count that falls is a new day's.
  const newDay = items !== null && callsMadeToday !== undefined && callsMadeToday < items[0]?.calls;
  useEffect(() => {
    if (newDay) load();
  }, [newDay]);
  const points = useMemo(() => pointsOf(items, callsMadeToday), [items, callsMadeToday]);
  return html`<section class="card chart-card" aria-labelledby="calls-per-day">
    <div class="card-head">
      <h2 id="calls-per-day">Calls per day</h2>
      <${Choice} label="Range" value=${days} options=${RANGES} onChoose=${setDays} />
    </div>
    ${error !== null && html`<${LoadError} title="The chart could not be loaded" error=${error} onRetry=${load} />`}
    ${points === null && error === null && html`<div class="skeleton chart-space"></div>`}
    ${points !== null && html`<${Chart} label="Calls" points=${points} unit=${calls} pointTitle=${`Day (${dayTimezone})`}
      summary=${summaryOf(points)} />`}
  </section>`;
}

/** Oldest first, with today's count as the stream has it. */
function pointsOf(items, callsMadeToday) {
  if (items === null) return null;
  return items
    .map(({ day, calls: made }, index) => ({ name: calendarDay(day), value: index === 0 ? Math.max(made, callsMadeToday ?? 0) : made }))
    .reverse();
}

function summaryOf(points) {
  const total = points.reduce((sum, { value }) => sum + value, 0);
  return `${calls(total)} in ${points.length} days, ${points.at(-1)?.value.toLocaleString('en') ?? 0} of them today`;
}
