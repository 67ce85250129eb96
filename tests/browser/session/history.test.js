// History, details, chart, filters and the keyboard; and that they show one's own sessions only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { n8nWill } from '../support/n8n.js';
import { panel } from '../support/panel.js';
import { newPerson } from '../support/people.js';
import { report, sessionsOf } from '../support/sessions.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser();

/** A person with one session for each ending, the last one first: `[{id, …}]`. */
async function personWithHistory(endings) {
  const person = newPerson('history');
  const sessions = sessionsOf(person);
  const ids = [];
  for (const ending of endings) {
    await n8nWill(person, { mode: 'silent' });
    const { id } = await sessions.start(1000);
    await sessions.delivery('delivered');
    await report(id, ending);
    ids.unshift(id);
  }
  return { person, ids };
}

const THREE = [
  { status: 'finished', callsMade: 10, message: 'First list done' },
  { status: 'failed', callsMade: 3, message: 'No credit left' },
  { status: 'finished', callsMade: 20, message: 'Second list done' },
];

test('the history lists what was, newest first, and opens in a drawer that the address names', async () => {
  const { person, ids } = await personWithHistory(THREE);
  const { page, shot, close } = await browser.openAs(person);
  const { rows, drawer } = panel(page);
  await eventually('three rows', async () => (await rows.count()) === 3);
  assert.deepEqual(await rows.locator('.badge').allInnerTexts(), ['Completed', 'Failed', 'Completed']);
  await rows.nth(1).click();
  await drawer.getByText('No credit left').waitFor();
  assert.ok(page.url().includes(`session=${ids[1]}`));
  await shot('session-details', { fullPage: false });
  await page.goBack();
  await drawer.waitFor({ state: 'detached' });
  await page.goForward();
  await drawer.getByText('No credit left').waitFor();
  await drawer.getByRole('button', { name: 'Close the details' }).click();
  await drawer.waitFor({ state: 'detached' });
  await close();
});

test('a deep link works through the sign-in, and the token does not stay in the address', async () => {
  const { person, ids } = await personWithHistory(THREE);
  const { page, close } = await browser.openAs(person, { path: `/sessions/?session=${ids[2]}` });
  const { drawer } = panel(page);
  await drawer.getByText('First list done').waitFor();
  assert.ok(!page.url().includes('token'));
  await page.reload();
  await drawer.getByText('First list done').waitFor();
  await close();
});

test('search and outcome narrow the list, and the address keeps them', async () => {
  const { person } = await personWithHistory(THREE);
  const { page, close } = await browser.openAs(person);
  const { rows, search } = panel(page);
  await eventually('three rows', async () => (await rows.count()) === 3);
  await search.fill('second');
  await eventually('one row', async () => (await rows.count()) === 1);
  await page.reload();
  await eventually('one row after a reload', async () => (await rows.count()) === 1);
  await search.fill('');
  await page.getByLabel('Outcome').selectOption('failed');
  await eventually('the failed one alone', async () => {
    const texts = await rows.allInnerTexts();
    return texts.length === 1 && texts[0].includes('No credit left');
  });
  await search.fill('nothing like it');
  await page.getByText('No loaded session fits the search.').waitFor();
  await close();
});

test('the list is sorted by a click on a heading', async () => {
  const { person } = await personWithHistory(THREE);
  const { page, close } = await browser.openAs(person);
  const { rows } = panel(page);
  const counts = async () => (await rows.locator('td:nth-child(3)').allInnerTexts()).join();
  const heading = page.locator('section:has(#history)').getByRole('button', { name: 'Calls' });
  await heading.click();
  await eventually('most calls first', async () => (await counts()) === '20,10,3');
  await heading.click();
  await eventually('fewest calls first', async () => (await counts()) === '3,10,20');
  await close();
});

test('the keyboard alone searches, moves, opens and closes', async () => {
  const { person } = await personWithHistory(THREE);
  const { page, shot, close } = await browser.openAs(person);
  const { rows, drawer, search } = panel(page);
  await eventually('three rows', async () => (await rows.count()) === 3);
  await page.keyboard.press('/');
  assert.ok(await search.evaluate((field) => field === document.activeElement));
  await page.keyboard.press('Escape');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await drawer.getByText('No credit left').waitFor();
  await page.keyboard.press('Escape');
  await drawer.waitFor({ state: 'detached' });
  await page.keyboard.press('k');
  await page.keyboard.press('Enter');
  await drawer.getByText('Second list done').waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).getByText('Next row').waitFor();
  await shot('keyboard', { fullPage: false });
  await page.keyboard.press('Escape');
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor({ state: 'detached' });
  await close();
});

test('more than one page of sessions is loaded on demand', async () => {
  const person = newPerson('many');
  const sessions = sessionsOf(person);
  const count = 52;
  await n8nWill(person, { mode: 'silent', times: count });
  for (let made = 0; made < count; made += 1) {
    await sessions.start(100);
    await sessions.stop();
  }
  const { page, close } = await browser.openAs(person);
  const { rows } = panel(page);
  await eventually('the first page', async () => (await rows.count()) === 50);
  await page.getByRole('button', { name: 'Load more' }).click();
  await eventually('all of them', async () => (await rows.count()) === count);
  assert.equal(await page.getByRole('button', { name: 'Load more' }).count(), 0);
  await close();
});

test('a history that cannot be loaded says why and can be tried again', async () => {
  const { person } = await personWithHistory(THREE.slice(0, 1));
  const { page, close } = await browser.open('/', { expectErrors: true });
  const list = (url) => url.pathname === '/api/ai-session';
  const body = JSON.stringify({ success: false, error: 'The database cannot be reached', code: 'unavailable' });
  await page.route(list, (route) => route.fulfill({ status: 503, headers: { 'retry-after': '2' }, body }));
  await page.getByLabel('Token').fill(person.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The database cannot be reached. Try again in 2 s.').waitFor();
  await page.unroute(list);
  await page.getByRole('button', { name: 'Try again' }).click();
  await eventually('the row', async () => (await panel(page).rows.count()) === 1);
  await close();
});

test('calls per day are a chart and a table, and today counts on', async () => {
  const { person } = await personWithHistory(THREE.slice(0, 1));
  const { page, close } = await browser.openAs(person);
  const chart = page.getByRole('img', { name: /^Calls\. / });
  await chart.locator('canvas').waitFor();
  assert.match(await chart.getAttribute('aria-label'), /10 calls in 30 days, 10 of them today/);
  await page.getByText('Show as a table').click();
  const days = page.getByRole('region', { name: 'Calls, as a table' }).locator('tbody tr');
  assert.equal(await days.count(), 30);
  assert.equal(await days.first().locator('td').innerText(), '10');
  await page.getByLabel('Range').selectOption('7');
  await eventually('seven days', async () => (await days.count()) === 7);
  await n8nWill(person, { mode: 'silent' });
  const { id } = await sessionsOf(person).start(1000);
  await sessionsOf(person).delivery('delivered');
  await report(id, { status: 'running', callsMade: 5 });
  await eventually('today has fifteen', async () => (await days.first().locator('td').innerText()) === '15');
  await close();
});

test('another user sees nothing of it, not even by its address', async () => {
  const { ids } = await personWithHistory(THREE.slice(0, 1));
  const { page, close } = await browser.openAs(newPerson('stranger'), { path: `/?session=${ids[0]}`, expectErrors: true });
  const { drawer, rows, idle } = panel(page);
  await idle.waitFor();
  await page.getByText('No sessions yet.').waitFor();
  await drawer.getByText('There is no such session, or it is not yours.').waitFor();
  assert.equal(await rows.count(), 0);
  await close();
});
