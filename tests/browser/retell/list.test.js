// The list: search, filters, links, the keyboard, the file, erasing; and that it shows one's own calls only.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { callsPage, personWithCalls } from '../support/calls-page.js';
import { newPerson } from '../support/people.js';
import { analysedCall, callsOf, forward } from '../support/retell.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('retell');
const DAY_MS = 24 * 3600_000;

/** Three calls, the newest first: a parcel today, an invoice two days ago, a complaint four days ago. */
function three(agentId) {
  const told = (daysAgo, call_summary, user_sentiment, said) => analysedCall(agentId, {
    start_timestamp: Date.now() - daysAgo * DAY_MS - 600_000,
    transcript: `Agent: Hello.\nUser: ${said}\n`,
    transcript_object: [{ role: 'agent', content: 'Hello.' }, { role: 'user', content: said }],
    analysis: { call_summary, user_sentiment },
  });
  return [
    told(4, 'A complaint about the service.', 'Negative', 'This is outrageous.'),
    told(2, 'A question about an invoice.', 'Neutral', 'My invoice says <i>zebra</i>.'),
    told(0, 'A parcel is late.', 'Positive', 'Where is my parcel?'),
  ];
}

const SUMMARIES = ['A parcel is late.', 'A question about an invoice.', 'A complaint about the service.'];

async function showsOnly(summaries, expected) {
  await eventually(`the list shows ${expected.join(' | ') || 'nothing'}`, async () => {
    const texts = await summaries.allInnerTexts();
    return texts.length === expected.length && texts.every((text, index) => text === expected[index]);
  });
}

test('search looks through what was said, on the service, and the address keeps it', async () => {
  const { person } = await personWithCalls(three);
  const { page, shot, close } = await browser.openAs(person);
  const { summaries, search, list } = callsPage(page);
  await showsOnly(summaries, SUMMARIES);
  await search.pressSequentially('zebra');
  await showsOnly(summaries, [SUMMARIES[1]]);
  await list.getByText('1 call found').waitFor();
  assert.equal(new URL(page.url()).searchParams.get('q'), 'zebra');
  await shot('retell-search');
  await page.reload();
  await showsOnly(summaries, [SUMMARIES[1]]);
  await search.fill('nothing like it');
  await page.getByText('No call fits these filters.').waitFor();
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await showsOnly(summaries, SUMMARIES);
  assert.equal(new URL(page.url()).search, '');
  await close();
});

test('sentiment and days narrow the list, alone and together, and back undoes it', async () => {
  const { person } = await personWithCalls(three);
  const { page, close } = await browser.openAs(person);
  const { summaries, sentiment, from, to } = callsPage(page);
  const day = (ago) => new Date(Date.now() - ago * DAY_MS - 600_000).toISOString().slice(0, 10);
  await showsOnly(summaries, SUMMARIES);
  await sentiment.selectOption('Negative');
  await showsOnly(summaries, [SUMMARIES[2]]);
  await from.fill(day(2));
  await page.getByText('No call fits these filters.').waitFor();
  await sentiment.selectOption('All');
  await showsOnly(summaries, SUMMARIES.slice(0, 2));
  await to.fill(day(2));
  await showsOnly(summaries, [SUMMARIES[1]]);
  await page.goBack();
  await showsOnly(summaries, SUMMARIES.slice(0, 2));
  await close();
});

test('a deep link opens one call with its filters, through the sign-in and a reload', async () => {
  const { person, calls } = await personWithCalls(three);
  const { page, shot, close } = await browser.openAs(person, { path: `/calls/?sentiment=Neutral&call=${calls[1].call_id}` });
  const { drawer, summaries } = callsPage(page);
  await drawer.getByText(SUMMARIES[1], { exact: true }).waitFor();
  // What was said is text, whatever it looks like.
  await drawer.getByText('My invoice says <i>zebra</i>.').waitFor();
  await drawer.getByText('$0.125', { exact: true }).waitFor();
  await drawer.getByText('User hangup').waitFor();
  await showsOnly(summaries, [SUMMARIES[1]]);
  assert.ok(!page.url().includes('token'));
  await shot('retell-details', { fullPage: false });
  await page.reload();
  await drawer.getByText('My invoice says <i>zebra</i>.').waitFor();
  await drawer.getByRole('button', { name: 'Close the details' }).click();
  await drawer.waitFor({ state: 'detached' });
  await page.goBack();
  await drawer.waitFor();
  await close();
});

test('a recording is a link only when it is a web address', async () => {
  const { person, calls } = await personWithCalls((id) => [
    analysedCall(id), analysedCall(id, { recording_url: 'javascript:alert(document.domain)' }),
  ]);
  const { page, close } = await browser.openAs(person, { path: `/?call=${calls[0].call_id}` });
  const { drawer } = callsPage(page);
  const link = drawer.getByRole('link');
  assert.equal(await link.getAttribute('href'), 'https://recordings.example/call.wav');
  assert.match(await link.getAttribute('rel'), /noopener/);
  await page.goto(`${new URL(page.url()).origin}/?call=${calls[1].call_id}`);
  await drawer.getByText('javascript:alert(document.domain)').waitFor();
  assert.equal(await link.count(), 0);
  await close();
});

test('the keyboard alone searches, moves, opens and closes', async () => {
  const { person } = await personWithCalls(three);
  const { page, close } = await browser.openAs(person);
  const { summaries, drawer, search } = callsPage(page);
  await showsOnly(summaries, SUMMARIES);
  await page.keyboard.press('/');
  assert.ok(await search.evaluate((field) => field === document.activeElement));
  await page.keyboard.press('Escape');
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await drawer.getByText(SUMMARIES[1], { exact: true }).waitFor();
  await page.keyboard.press('Escape');
  await drawer.waitFor({ state: 'detached' });
  await page.keyboard.press('k');
  await page.keyboard.press('Enter');
  await drawer.getByText(SUMMARIES[0], { exact: true }).waitFor();
  await close();
});

test('more than one page of calls is loaded on demand, and a new call keeps what was loaded', async () => {
  const start = Date.now() - 3600_000;
  const { person, agentId } = await personWithCalls((id) => Array.from({ length: 53 }, (_, index) => analysedCall(id, {
    start_timestamp: start + index * 1000,
  })));
  const { page, close } = await browser.openAs(person);
  const { rows, live } = callsPage(page);
  const more = page.getByRole('button', { name: 'Load more' });
  await eventually('the first page', async () => (await rows.count()) === 50);
  await live.waitFor();
  await more.click();
  await eventually('all of them', async () => (await rows.count()) === 53);
  assert.equal(await more.count(), 0);
  await forward(analysedCall(agentId, { start_timestamp: Date.now() }));
  await eventually('one more', async () => (await rows.count()) === 54);
  await close();
});

test('the CSV file has what the filters leave, and no formula', async () => {
  const { person } = await personWithCalls((id) => [
    ...three(id), analysedCall(id, { analysis: { call_summary: '=HYPERLINK("https://evil.example","parcel")' } }),
  ]);
  const { page, close } = await browser.openAs(person, { path: '/?sentiment=Positive' });
  const { csv, summaries } = callsPage(page);
  await eventually('two rows', async () => (await summaries.count()) === 2);
  const [download] = await Promise.all([page.waitForEvent('download'), csv.click()]);
  assert.match(download.suggestedFilename(), /\.csv$/);
  const text = await readFile(await download.path(), 'utf8');
  assert.ok(text.includes('A parcel is late.'), text);
  assert.ok(!text.includes('invoice'), text);
  assert.ok(text.includes('HYPERLINK'), text);
  // A cell that begins with = would be run by a spreadsheet.
  assert.doesNotMatch(text, /(^|[,;\t"\r\n])=HYPERLINK/);
  await close();
});

test('erasing a call asks first, and then it is gone for good', async () => {
  const { person, calls } = await personWithCalls(three);
  const { page, shot, close } = await browser.openAs(person, { path: `/?call=${calls[1].call_id}` });
  const { drawer, question, summaries } = callsPage(page);
  await showsOnly(summaries, SUMMARIES);
  await drawer.getByRole('button', { name: 'Erase this call' }).click();
  await question('Erase this call?').waitFor();
  await shot('retell-erase', { fullPage: false });
  await question('Erase this call?').getByRole('button', { name: 'Erase', exact: true }).click();
  await page.getByText('The call was erased.').waitFor();
  await drawer.waitFor({ state: 'detached' });
  await showsOnly(summaries, [SUMMARIES[0], SUMMARIES[2]]);
  assert.equal((await callsOf(person).call('GET', `/calls/${calls[1].call_id}`)).status, 404);
  await close();
});

test('a call that is erased elsewhere leaves the page without a reload', async () => {
  const { person, calls } = await personWithCalls(three);
  const { page, close } = await browser.openAs(person, { path: `/?call=${calls[2].call_id}`, expectErrors: true });
  const { drawer, summaries, live } = callsPage(page);
  await live.waitFor();
  await drawer.getByText('Where is my parcel?').waitFor();
  await callsOf(person).call('DELETE', '/calls', { callId: calls[2].call_id });
  await showsOnly(summaries, SUMMARIES.slice(1));
  await drawer.getByText('There is no such call, or it is not yours.').waitFor();
  await close();
});

test('a list that cannot be loaded says why and can be tried again', async () => {
  const { person } = await personWithCalls(three);
  const { page, close } = await browser.open('/', { expectErrors: true });
  const { summaries } = callsPage(page);
  const list = (url) => ['/api/retell/calls', '/api/retell/events'].includes(url.pathname);
  const body = JSON.stringify({ success: false, error: 'The database cannot be reached', code: 'unavailable' });
  await page.route(list, (route) => route.fulfill({ status: 503, headers: { 'retry-after': '2' }, body }));
  await page.getByLabel('Token').fill(person.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('The database cannot be reached. Try again in 2 s.').waitFor();
  await page.unroute(list);
  await page.getByRole('button', { name: 'Try again' }).click();
  await showsOnly(summaries, SUMMARIES);
  await close();
});

test('figures are charts and tables, and split by sentiment and outcome', async () => {
  const { person } = await personWithCalls(three);
  const { page, close } = await browser.openAs(person);
  const { figures } = callsPage(page);
  await figures.getByRole('img', { name: /^Calls\. 3 calls in 30 days/ }).locator('canvas').waitFor();
  await figures.getByText('Show as a table').first().click();
  const days = figures.getByRole('region', { name: 'Calls, as a table' }).locator('tbody tr');
  assert.equal(await days.count(), 30);
  const counts = (await days.locator('td').allInnerTexts()).map(Number);
  assert.equal(counts.reduce((sum, count) => sum + count, 0), 3);
  await figures.getByRole('row', { name: /Negative 1 33 %/ }).waitFor();
  await figures.getByRole('row', { name: /^Successful 3 100 %/ }).waitFor();
  await figures.getByLabel('Range').selectOption('7');
  await eventually('seven days', async () => (await days.count()) === 7);
  assert.equal(new URL(page.url()).searchParams.get('days'), '7');
  await close();
});

test('another user sees nothing of it, not even by its address', async () => {
  const { calls } = await personWithCalls(three);
  const { page, close } = await browser.openAs(newPerson('stranger'), { path: `/?call=${calls[0].call_id}`, expectErrors: true });
  const { drawer, rows, offline, figures } = callsPage(page);
  await offline.waitFor();
  await page.getByText('No calls yet.').waitFor();
  await drawer.getByText('There is no such call, or it is not yours.').waitFor();
  await figures.getByRole('img', { name: /^Calls\. 0 calls in 30 days/ }).waitFor();
  assert.equal(await rows.count(), 0);
  await close();
});
