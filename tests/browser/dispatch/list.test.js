// The list and the details: live, filters, links, the keyboard, the timeline, the agent's report, a broken stream; operators only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { callsTo, dispatchesOf, move, newAccount, newNumber, newOperator, newPage } from '../support/dispatches.js';
import { newPerson } from '../support/people.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('dispatch');
const api = dispatchesOf(newOperator('api'));

/** Has somebody called who does what the plan says; gives the dispatch. */
async function called(account, { plan, ...order } = {}) {
  const destination = newNumber();
  await callsTo(destination, plan);
  return api.send({ destination, account_code: account, ...order });
}

const ENDS = { ending: 'completed', ringMs: 50, talkMs: 1500 };

test('a dispatch of n8n shows without a reload, and how it goes', async () => {
  const { row, close } = await newPage(browser);
  const dispatch = await called(newAccount());
  const mine = row(dispatch.metadata.destination);
  await mine.getByText('Ringing').waitFor();
  await move(dispatch.room, 'answer');
  await mine.getByText('Answered').waitFor();
  await move(dispatch.room, 'hang_up');
  await mine.getByText('Ended').waitFor();
  await mine.locator('td.wide', { hasText: 'Hung up' }).waitFor();
  await close();
});

test('account and status narrow the list, on the service, and the address keeps it', async () => {
  const account = newAccount();
  const { page, rows, accountFilter, statusFilter, list, shot, close } = await newPage(browser);
  const busy = await called(account, { plan: { ending: 'busy' } });
  const rings = await called(account);
  await called(newAccount());
  const destinations = () => rows.locator('td:nth-child(2)').allInnerTexts();
  const shows = (...expected) => eventually(`the list shows ${expected.length}`, async () => {
    const shown = await destinations();
    return JSON.stringify(shown) === JSON.stringify(expected.map(({ metadata }) => metadata.destination));
  });
  await api.status(busy.dispatch_id, 'ended');
  await accountFilter.pressSequentially(account);
  await shows(rings, busy);
  await list.getByText('2 dispatches found').waitFor();
  await statusFilter.selectOption('Ringing');
  await shows(rings);
  await shot('dispatch-filters');
  assert.equal(new URL(page.url()).searchParams.get('status'), 'ringing');
  // A call that goes on leaves a list that it fits no longer.
  await move(rings.room, 'answer');
  await list.getByText('No dispatch fits these filters.').waitFor();
  await page.goBack();
  await shows(rings, busy);
  await page.reload();
  await shows(rings, busy);
  await page.getByRole('button', { name: 'Clear filters' }).click();
  await eventually('all of them', async () => (await rows.count()) >= 3);
  await close();
});

test('a deep link opens one dispatch with its events, through the sign-in and a reload', async () => {
  const dispatch = await called(newAccount(), { session_options: { llm: 'openai/gpt-4o-mini' } });
  const { page, drawer, close } = await newPage(browser, { query: { dispatch: dispatch.dispatch_id } });
  const events = drawer.getByRole('list', { name: 'Events' });
  await events.getByText('A worker took the job').waitFor();
  await events.getByText('The phone rings').waitFor();
  await drawer.getByText('"llm": "openai/gpt-4o-mini"').waitFor();
  await drawer.getByText(dispatch.room).first().waitFor();
  await move(dispatch.room, 'answer');
  await events.getByText('Answered', { exact: true }).waitFor();
  await move(dispatch.room, 'hang_up');
  await events.getByText('n8n has the result').waitFor();
  assert.equal(await drawer.getByRole('button', { name: 'Cancel the call' }).count(), 0);
  assert.ok(!page.url().includes('token'));
  await page.reload();
  await events.getByText('n8n has the result').waitFor();
  await drawer.getByRole('button', { name: 'Close the details' }).click();
  await drawer.waitFor({ state: 'detached' });
  await page.goBack();
  await drawer.waitFor();
  await close();
});

test('the agent\'s report shows as soon as it comes, its transcript as a conversation', async () => {
  const dispatch = await called(newAccount(), { plan: ENDS });
  await api.status(dispatch.dispatch_id, 'ended');
  const { drawer, shot, close } = await newPage(browser, { query: { dispatch: dispatch.dispatch_id } });
  await drawer.getByText('The agent has not reported.').waitFor();
  await api.report({
    dispatch_id: dispatch.dispatch_id,
    usage: { llm_prompt_tokens: 321 },
    transcript: { items: [
      { type: 'message', role: 'assistant', content: ['Hello, this is the help desk.'] },
      { type: 'message', role: 'user', content: ['My <b>router</b> is <script>alert(1)</script>.'] },
    ] },
  });
  await drawer.locator('.turn.right').getByText('Hello, this is the help desk.').waitFor();
  // What was said is text, whatever it looks like.
  await drawer.locator('.turn.left').getByText('My <b>router</b> is <script>alert(1)</script>.').waitFor();
  await drawer.getByText("The agent's report", { exact: true }).click();
  await drawer.getByText('"llm_prompt_tokens": 321').waitFor();
  await drawer.getByText('Hello, this is the help desk.').first().scrollIntoViewIfNeeded();
  await shot('dispatch-report', { fullPage: false });
  await close();
});

test('HTML in what was asked for is text, in the list, the form and the details', async () => {
  const account = `<img src=x onerror=alert(1)> ${newAccount().slice(0, 12)}`;
  const dispatch = await called(account, { caller_name: '<b>Bold</b>', metadata: { note: '<script>alert(2)</script>' } });
  const { page, row, drawer, close } = await newPage(browser);
  await row(dispatch.metadata.destination).getByText(account).click();
  await drawer.getByText('<script>alert(2)</script>').waitFor();
  await drawer.getByText('<b>Bold</b>').waitFor();
  assert.equal(await page.locator('main img, main script, main b, dialog img, dialog b, dialog script').count(), 0);
  await close();
});

test('a recording shows with its state and place', async () => {
  const dispatch = await called(newAccount(), { plan: ENDS, record_call: true });
  const { row, drawer, close } = await newPage(browser);
  await row(dispatch.metadata.destination).getByText('Saved').waitFor();
  await row(dispatch.metadata.destination).click();
  const link = drawer.getByRole('link', { name: dispatch.room });
  assert.match(await link.getAttribute('href'), /^https:\/\/call-recordings\./);
  assert.match(await link.getAttribute('rel'), /noopener/);
  await drawer.getByRole('list', { name: 'Events' }).getByText('Recording complete').waitFor();
  await close();
});

test('a call is cancelled from its details', async () => {
  const dispatch = await called(newAccount());
  const { drawer, question, page, close } = await newPage(browser, { query: { dispatch: dispatch.dispatch_id } });
  await drawer.getByText('The phone rings.').waitFor();
  await drawer.getByRole('button', { name: 'Cancel the call' }).click();
  await question('Cancel this call?').getByRole('button', { name: 'Hang up' }).click();
  await page.getByText('The call was cancelled.').waitFor();
  await drawer.getByText('It was cancelled and hung up.').waitFor();
  await close();
});

test('the keyboard alone filters, moves, opens and closes', async () => {
  const account = newAccount();
  const older = await called(account);
  const newer = await called(account);
  const { page, rows, drawer, accountFilter, close } = await newPage(browser, { account });
  await eventually('both', async () => (await rows.count()) === 2);
  await page.keyboard.press('/');
  assert.ok(await accountFilter.evaluate((field) => field === document.activeElement));
  await accountFilter.evaluate((field) => field.blur());
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await drawer.getByText(older.dispatch_id).first().waitFor();
  await page.keyboard.press('k');
  await page.keyboard.press('Enter');
  await drawer.getByText(newer.dispatch_id).first().waitFor();
  await page.keyboard.press('Escape');
  await drawer.waitFor({ state: 'detached' });
  await close();
});

test('a broken stream says since when, comes back, and shows what was missed', async () => {
  const account = newAccount();
  const dispatch = await called(account);
  const { page, row, live, shot, close } = await newPage(browser, { account, expectErrors: true });
  const mine = row(dispatch.metadata.destination);
  await mine.getByText('Ringing').waitFor();
  await page.context().setOffline(true);
  await page.locator('.connection', { hasText: /Reconnecting since \d\d:\d\d:\d\d/ }).waitFor();
  await shot('dispatch-reconnecting');
  await move(dispatch.room, 'answer');
  await api.status(dispatch.dispatch_id, 'answered');
  const later = await called(account);
  await page.context().setOffline(false);
  await live.waitFor();
  await mine.getByText('Answered').waitFor();
  await row(later.metadata.destination).waitFor();
  await close();
});

test('more than one page is loaded on demand, and a change keeps what was loaded', async () => {
  const { page, rows, close } = await newPage(browser);
  const facts = await api.ofAccount(newAccount());
  assert.deepEqual(facts, []);
  const item = (index) => ({ ...SAMPLE, room: `outbound-${String(index).padStart(10, '0')}`, dispatch_id: `AD_${index}`,
    created_at: new Date(Date.UTC(2026, 0, 1, 0, 0, 100 - index)).toISOString(), updated_at: '2026-01-01T00:00:00.000Z' });
  await page.route(/\/dispatches\?/, (route) => {
    const second = new URL(route.request().url()).searchParams.has('cursor');
    const items = Array.from({ length: second ? 3 : 50 }, (_, index) => item(second ? 50 + index : index));
    return route.fulfill({ json: { success: true, items, next: second ? null : 'http://elsewhere.example/dispatches?account_code=many&cursor=c' } });
  });
  await page.getByRole('searchbox', { name: 'Account code' }).fill('many');
  await eventually('the first page', async () => (await rows.count()) === 50);
  await page.getByRole('button', { name: 'Load more' }).click();
  await eventually('all of them', async () => (await rows.count()) === 53);
  await close();
});

const SAMPLE = {
  job_id: null, agent_name: 'agent', metadata: { destination: '61402012298', account_code: 'many' }, session_options: {},
  record_call: false, status: 'ended', call_start: null, call_end: null, call_duration_seconds: null, end_reason: 'no_answer',
  egress_id: null, recording: null, state: { jobs: [] },
};

test('who is no operator sees why, and nothing of the calls', async () => {
  const { page, shot, close } = await browser.openAs(newPerson('visitor'));
  await page.getByText('This page is for operators').waitFor();
  assert.equal(await page.getByRole('table').count(), 0);
  await shot('dispatch-no-operator');
  await close();
});

test('a dispatch that there is not is told', async () => {
  const { drawer, close } = await newPage(browser, { query: { dispatch: 'AD_nowhere' }, expectErrors: true });
  await drawer.getByText('There is no such dispatch.').waitFor();
  await close();
});

test('the page is under the prefix of the service too', async () => {
  const { page, close } = await browser.openAs(newOperator(), { path: '/dispatches/' });
  await page.getByRole('heading', { name: 'Send a test dispatch' }).waitFor();
  await page.locator('.connection', { hasText: 'Live' }).waitFor();
  await close();
});
