// Figures of some days: calls and minutes for each day, and how the calls went.
import { html, useCallback, useEffect, useMemo, useRef, useState } from './shared/html.js';
import { useParameter } from './shared/address.js';
import { get } from './shared/api.js';
import { usePaced } from './shared/pace.js';
import { counted } from './shared/text.js';
import { calendarDay, dayIn, daysUpTo } from './shared/time.js';
import { Badge } from './shared/parts/badge.js';
import { Chart } from './shared/parts/chart.js';
import { Choice } from './shared/parts/choice.js';
import { CurlBlock } from './shared/parts/code.js';
import { Fact } from './shared/parts/fact.js';
import { LoadError } from './shared/parts/load-error.js';
import { Loading } from './shared/parts/loading.js';
import { Split } from './shared/parts/split.js';
import { paths } from './calls.js';
import { calls, minutes, money, plain, sentimentOf, sentiments, stateOf } from './words.js';

const RANGES = [['7', '7 days'], ['30', '30 days'], ['90', '90 days']];
const USUAL_RANGE = '30';
const REFRESH_MS = 2000;
const MOST_REASONS = 5;
const NO_CALLS = 'No calls in these days.';

/** `changes` counts the changes of calls: with each the figures are read again, though not more often than is good. */
export function Figures({ changes, dayTimezone }) {
  const [wished, setDays] = useParameter('days', USUAL_RANGE);
  const days = RANGES.some(([known]) => known === wished) ? wished : USUAL_RANGE;
  const { figures, error, load } = useFigures(Number(days), dayTimezone, changes);
  return html`<section class="card figures" aria-labelledby="figures">
    <div class="card-head">
      <h2 id="figures">Figures</h2>
      ${figures !== null && html`<${Sums} data=${figures.data} />`}
      <${Choice} label="Range" value=${days} options=${RANGES} onChoose=${setDays} />
    </div>
    ${error !== null && html`<${LoadError} title="The figures could not be loaded" error=${error} onRetry=${load} />`}
    ${figures === null && error === null && html`<${Loading} class="figures-space" />`}
    ${figures !== null && html`<${Charts} figures=${figures} dayTimezone=${dayTimezone} />`}
  </section>`;
}

/** The place of the card while nothing is known, as large as the card will be. */
export function FiguresSkeleton() {
  return html`<${Loading} class="card figures" />`;
}

/** What `GET analytics` says about the last days, and which days these are: `{figures: {data, days}, error, load}`. */
function useFigures(count, dayTimezone, changes) {
  const [state, setState] = useState({ figures: null, error: null });
  const latest = useRef(0);
  const load = useCallback(async () => {
    latest.current += 1;
    const mine = latest.current;
    const days = daysUpTo(dayIn(dayTimezone), count);
    let next;
    try {
      const { data } = await get(paths.analytics(days[0]));
      next = { figures: { data, days }, error: null };
    } catch (error) {
      next = { error };
    }
    // Another range may have been chosen meanwhile.
    if (latest.current === mine) setState((before) => ({ ...before, ...next }));
  }, [count, dayTimezone]);
  useEffect(() => {
    load();
  }, [load]);
  const refresh = usePaced(load, REFRESH_MS);
  useEffect(() => {
    if (changes > 0) refresh();
  }, [changes, refresh]);
  return { ...state, load };
}

function Charts({ figures: { data, days }, dayTimezone }) {
  const points = useMemo(() => perDay(data, days), [data, days]);
  const pointTitle = `Day (${dayTimezone})`;
  const span = `in ${days.length} days`;
  return html`<div class="pair">
      <div><h3>Calls per day</h3><${Chart} label="Calls" points=${points.calls} unit=${calls} pointTitle=${pointTitle}
        summary=${`${calls(data.calls)} ${span}`} height=${104} /></div>
      <div><h3>Minutes per day</h3><${Chart} label="Minutes" kind="lines" points=${points.minutes} unit=${toldMinutes}
        pointTitle=${pointTitle} summary=${`${toldMinutes(data.minutes)} ${span}`} height=${104} /></div>
    </div>
    <div class="splits">
      <${Split} title="Sentiment" unit="Calls" parts=${sentimentParts(data.sentiment)} empty=${NO_CALLS} />
      <${Split} title="Outcome" unit="Calls" parts=${outcomeParts(data.outcomes)} empty=${NO_CALLS} />
      <${Split} title="Why they ended" unit="Calls" parts=${reasonParts(data.disconnectionReasons)} empty=${NO_CALLS} />
    </div>
    <details class="more"><summary>The same with curl</summary>
      <${CurlBlock} label="Figures" path=${paths.analytics(days[0])} />
    </details>`;
}

function Sums({ data }) {
  return html`<dl class="facts">
    <${Fact} name="Calls">${data.calls.toLocaleString('en')}<//>
    <${Fact} name="Minutes">${minutes(data.minutes)}<//>
    <${Fact} name="Cost">${money(data.costCents)}<//>
    <${Fact} name="Successful">${successRate(data.outcomes)}<//>
  </dl>`;
}

function toldMinutes(value) {
  return counted(value, 'minute');
}

/** Every day has a point, also where the service tells only of days with calls. */
function perDay(data, days) {
  const known = new Map(data.perDay.map((day) => [day.day, day]));
  const points = (figure) => days.map((day) => ({ name: calendarDay(day), value: known.get(day)?.[figure] ?? 0 }));
  return { calls: points('calls'), minutes: points('minutes') };
}

function successRate({ successful, unsuccessful }) {
  const judged = successful + unsuccessful;
  return judged === 0 ? 'Not known' : `${Math.round((100 * successful) / judged)} % of ${judged.toLocaleString('en')} judged`;
}

/** What Retell did not judge, or judged in a newer word, is counted as unknown. */
function sentimentParts(counts) {
  return sentiments.map((word) => ({ key: word, name: html`<${Marked} mark=${sentimentOf(word)} />`, value: counts[word] ?? 0 }));
}

function outcomeParts({ successful, unsuccessful, unknown }) {
  const over = (verdict) => html`<${Marked} mark=${stateOf({ status: 'ended', successful: verdict })} />`;
  return [
    { key: 'successful', name: over(true), value: successful },
    { key: 'unsuccessful', name: over(false), value: unsuccessful },
    { key: 'unknown', name: 'Not judged', value: unknown },
  ];
}

/** The most frequent ones; the others together. */
function reasonParts(reasons) {
  const sorted = Object.entries(reasons).sort(([, a], [, b]) => b - a);
  const parts = sorted.slice(0, MOST_REASONS).map(([word, value]) => ({ key: word, name: plain(word), value }));
  const rest = sorted.slice(MOST_REASONS).reduce((sum, [, value]) => sum + value, 0);
  return rest === 0 ? parts : [...parts, { key: 'others', name: 'Other reasons', value: rest }];
}

function Marked({ mark: { word, tone, icon } }) {
  return html`<${Badge} tone=${tone} icon=${icon}>${word}<//>`;
}
