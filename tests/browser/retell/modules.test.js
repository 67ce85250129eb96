// The pure parts of the page's scripts, and of the shared ones that it is the first to use, imported in the browser.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { assertPreloads, useModules } from '../support/modules.js';

const browser = useBrowser('retell');
const inPage = useModules(browser);

test('the page asks for every module of its scripts at once', () => assertPreloads(browser));

test('how a call stands is told for every status, known or not', async () => {
  const given = [
    ['registered', null], ['ongoing', null], ['ended', null], ['ended', true], ['ended', false], ['not_connected', false],
    ['error', null], [null, null], [null, true], ['brand_new', null],
  ];
  const told = await inPage('words.js', ({ stateOf }, all) => all.map(([status, successful]) => stateOf({ status, successful }).word), given);
  assert.deepEqual(told, [
    'Registered', 'Ongoing', 'Ended', 'Successful', 'Unsuccessful', 'Not connected', 'Error', 'Not known', 'Successful', 'Brand new',
  ]);
});

test('who was at the other end is told by the direction, with or without numbers', async () => {
  const given = [['inbound', 'a', 'b', 'voice'], ['outbound', 'a', 'b', 'voice'], [null, null, null, 'voice'], [null, null, null, 'chat']]
    .map(([direction, fromNumber, toNumber, channel]) => ({ direction, fromNumber, toNumber, channel }));
  assert.deepEqual(await inPage('words.js', ({ otherEnd }, all) => all.map(otherEnd), given), ['a', 'b', 'Web call', 'Chat']);
});

test('money and minutes have two decimals, and what is not known is left out', async () => {
  const told = await inPage('words.js', ({ money, minutes }) => [
    money(12.345), money(12.345, { exactly: true }), money(null), minutes(5), minutes(1234.5), minutes(null),
  ]);
  assert.deepEqual(told, ['$0.12', '$0.12345', '', '5.00', '1,234.50', '']);
});

test('an unknown speaker stands in the middle under a readable name', async () => {
  const told = await inPage('words.js', ({ speakerOf }) => ['agent', 'user', 'tool_call_invocation'].map(speakerOf));
  assert.deepEqual(told.map(({ side }) => side), ['right', 'left', 'middle']);
  assert.equal(told[2].name, 'Tool call invocation');
});

test('filters become a query only where they narrow', async () => {
  const told = await inPage('filters.js', ({ queryOf }) => [
    queryOf({ q: '', sentiment: 'all', from: '', to: '' }),
    queryOf({ q: 'a&b', sentiment: 'Positive', from: '2026-11-01', to: '' }),
  ]);
  assert.deepEqual(told, ['', '?q=a%26b&sentiment=Positive&from=2026-11-01']);
});

test('a row finds its place in a list that is partly loaded', async () => {
  const told = await inPage('shared/list.js', ({ placed }) => {
    const shape = { keyOf: ({ id }) => id, orderOf: ({ at }) => at };
    const list = (next) => ({ rows: [{ id: 'c', at: '3' }, { id: 'a', at: '1' }], next });
    const ids = (row, next = null) => placed(list(next), row, shape).rows.map(({ id, news }) => id + (news ?? '')).join('');
    return [
      ids({ id: 'd', at: '4' }), ids({ id: 'b', at: '2' }), ids({ id: 'z', at: '0' }), ids({ id: 'z', at: '0' }, '/more'),
      ids({ id: 'a', at: '1', news: '!' }, '/more'), ids({ id: 'a', at: '9' }), ids({ id: 'c', at: '0' }, '/more'),
      placed({ rows: null, next: null }, { id: 'a', at: '1' }, shape).rows,
    ];
  });
  assert.deepEqual(told, ['dca', 'cba', 'caz', 'ca', 'ca!', 'ac', 'ac', null]);
});

test('a first page that is read again keeps later pages, unless a gap has opened', async () => {
  const told = await inPage('shared/list.js', ({ refilled }) => {
    const shape = { keyOf: (id) => id, orderOf: (id) => id };
    const after = (rows, items, next) => {
      const list = refilled({ path: '/x', rows, next: '/x?old', error: null }, { items, next }, shape);
      return `${list.rows.join('')} ${list.next}`;
    };
    const next = new URL('/x?new', location.href).href;
    return [
      after(['d', 'c', 'b', 'a'], ['e', 'd', 'c'], next),
      after(['d', 'c', 'b', 'a'], ['d', 'b'], next),
      after(['c', 'b', 'a'], ['g', 'f', 'e'], next),
      after(['c', 'b', 'a'], ['c', 'b'], null),
      after(['c', 'b'], [], null),
    ];
  });
  assert.deepEqual(told, ['edcba /x?old', 'dba /x?old', 'gfe /x?new', 'cb null', ' null']);
});

test('paced work is never done twice at a time, and what is asked for meanwhile is done once more', async () => {
  const told = await inPage('shared/pace.js', async ({ paced }) => {
    let [running, most, done] = [0, 0, 0];
    const work = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => { setTimeout(resolve, 5); });
      running -= 1;
      done += 1;
    };
    const { ask, stop } = paced(work, 5);
    for (let asked = 0; asked < 20; asked += 1) ask();
    const end = Date.now() + 10_000;
    while (done < 2 && Date.now() < end) await new Promise((resolve) => { setTimeout(resolve, 1); });
    stop();
    ask();
    return { most, done };
  });
  assert.deepEqual(told, { most: 1, done: 2 });
});

test('calendar days follow the time zone', async () => {
  const told = await inPage('shared/time.js', ({ dayIn, daysUpTo }) => {
    const at = Date.parse('2026-03-01T23:30:00Z');
    return [dayIn('UTC', at), dayIn('Europe/Berlin', at), dayIn('America/New_York', at), dayIn('Nowhere/Land', at), daysUpTo('2026-03-02', 3)];
  });
  assert.deepEqual(told, ['2026-03-01', '2026-03-02', '2026-03-01', '2026-03-01', ['2026-02-28', '2026-03-01', '2026-03-02']]);
});
