// Accessibility, light and dark, phone width and zoom.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertAccessible, assertNoSidewaysScroll } from '../support/accessibility.js';
import { PHONE, useBrowser } from '../support/browser.js';
import { callsTo, dispatchesOf, move, newAccount, newNumber, newOperator, newPage } from '../support/dispatches.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('dispatch');
const api = dispatchesOf(newOperator('api'));
const UNBROKEN = 'AVeryLongWordWithoutAnySpaceInItThatHasToBreakSomewhere'.repeat(2);
const ENDINGS = ['refused', 'trunk_failure', 'busy', 'no_answer', 'agent_error', 'completed', 'never'];

async function called(account, plan, order = {}) {
  const destination = newNumber();
  await callsTo(destination, { ringMs: 100, talkMs: 1200, ...plan });
  return api.send({ destination, account_code: account, ...order });
}

/** Calls of every kind of one account, the newest last, which still rings; gives the one that has most to tell. */
async function motley(account) {
  const made = [];
  for (const ending of ENDINGS) {
    made.push(await called(account, { ending }, {
      record_call: ending === 'completed',
      metadata: { ticket_id: UNBROKEN },
      session_options: { llm: 'openai/gpt-4o-mini', tts: { provider: 'cartesia', voice: UNBROKEN } },
    }));
  }
  const full = made[ENDINGS.indexOf('completed')];
  await api.status(full.dispatch_id, 'ended');
  await api.report({
    dispatch_id: full.dispatch_id, usage: { llm_tokens: 12, note: UNBROKEN },
    transcript: [{ role: 'agent', text: 'Hello, this is the help desk.' }, { role: 'user', text: UNBROKEN }, { role: 'tool', text: 'looked up' }],
  });
  return full;
}

async function unfold(page) {
  for (const closed of await page.locator('summary').all()) if (await closed.isVisible()) await closed.click();
}

const settled = (rows) => eventually('all calls but one are over', async () => (
  (await rows.count()) === ENDINGS.length && (await rows.locator('.badge.live').count()) === 1
));

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing: form, list, details, question, ${colorScheme}`, async () => {
    const account = newAccount();
    const full = await motley(account);
    const { page, rows, row, drawer, question, destination, account: code, sendButton, stands, cancelButton, shot, close } = await newPage(
      browser, { account, colorScheme },
    );
    await settled(rows);
    await assertAccessible(page, `nothing sent, ${colorScheme}`);
    await shot(`dispatch-list-${colorScheme}`);
    const number = newNumber();
    await callsTo(number);
    await destination.fill(number);
    await code.fill(account);
    await sendButton.click();
    await stands('Ringing').waitFor();
    await unfold(page);
    await assertAccessible(page, `sent, all unfolded, ${colorScheme}`);
    await shot(`dispatch-unfolded-${colorScheme}`);
    await row(full.metadata.destination).click();
    await drawer.locator('.turn-text', { hasText: 'Hello' }).waitFor();
    await drawer.getByText("The agent's report", { exact: true }).click();
    await assertAccessible(page, `details, ${colorScheme}`);
    await shot(`dispatch-details-${colorScheme}`, { fullPage: false });
    await page.keyboard.press('Escape');
    await cancelButton.click();
    await question('Cancel this call?').waitFor();
    await assertAccessible(page, `question, ${colorScheme}`);
    await close();
  });

  test(`axe finds nothing: faults, refusals, what cannot be loaded, ${colorScheme}`, async () => {
    const { page, sendButton, fieldError, destination, account, refusal, shot, close } = await newPage(browser, {
      account: newAccount(), colorScheme, expectErrors: true,
    });
    await page.getByText('No dispatch fits these filters.').waitFor();
    await sendButton.click();
    await eventually('two faults', async () => (await fieldError('').count()) === 2);
    await assertAccessible(page, `faults, ${colorScheme}`);
    await page.route('**/dispatch', (route) => route.fulfill({ status: 500, body: '' }));
    await page.route(/\/dispatches\?/, (route) => route.fulfill({ status: 500, body: '' }));
    await destination.fill(newNumber());
    await account.fill('x');
    await sendButton.click();
    await refusal.getByText('Nobody can tell whether the phone rings').waitFor();
    await page.getByRole('searchbox', { name: 'Account code' }).fill('another');
    await page.getByRole('button', { name: 'Try again' }).waitFor();
    await assertAccessible(page, `failures, ${colorScheme}`);
    await shot(`dispatch-failures-${colorScheme}`);
    await close();
  });
}

test('a phone of 360 px needs no sideways scrolling', async () => {
  const account = newAccount();
  const full = await motley(account);
  const { page, rows, row, drawer, destination, account: code, sendButton, sent, stands, shot, close } = await newPage(browser, {
    account, viewport: PHONE,
  });
  await settled(rows);
  await shot('dispatch-phone');
  const number = newNumber();
  await callsTo(number);
  await destination.fill(number);
  await code.fill(account);
  await sendButton.click();
  await stands('Ringing').waitFor();
  await eventually('what was sent is in view', () => sent.evaluate((box) => {
    const { top, bottom } = box.getBoundingClientRect();
    // The bar of the services covers the lowest 54 px.
    return top >= 0 && bottom <= innerHeight - 54;
  }));
  await shot('dispatch-phone-sent', { fullPage: false });
  const table = page.locator('.table-scroll').last();
  assert.ok(await table.evaluate((box) => box.scrollWidth <= box.clientWidth), 'the table fits');
  await unfold(page);
  await assertNoSidewaysScroll(page, 'all unfolded');
  await assertAccessible(page, 'phone');
  await row(full.metadata.destination).click();
  await drawer.locator('.turn-text', { hasText: 'Hello' }).waitFor();
  assert.equal((await drawer.boundingBox()).width, PHONE.width);
  await assertNoSidewaysScroll(page, 'details');
  assert.ok(await drawer.evaluate((box) => box.scrollWidth <= box.clientWidth), 'the details fit');
  await shot('dispatch-phone-details', { fullPage: false });
  await drawer.locator('.turn-text', { hasText: 'Hello' }).scrollIntoViewIfNeeded();
  await shot('dispatch-phone-events', { fullPage: false });
  await assertAccessible(page, 'details, phone');
  await close();
});

test('a zoom of 200 % needs no sideways scrolling', async () => {
  const account = newAccount();
  const dispatch = await called(account, { ending: 'never' });
  // Zooming halves the width that the page has, in its own pixels.
  const { page, row, shot, close } = await newPage(browser, { account, viewport: { width: 640, height: 450 } });
  await move(dispatch.room, 'answer');
  await row(dispatch.metadata.destination).getByText('Answered').waitFor();
  await unfold(page);
  await assertNoSidewaysScroll(page, '200 %');
  await shot('dispatch-zoom-200');
  await close();
});

test('an installation without any dispatch says what to do', async () => {
  const { page, shot, close } = await browser.open('/');
  await page.route(/\/dispatches$/, (route) => route.fulfill({ json: { success: true, items: [], next: null } }));
  await page.route('**/dispatches/events', (route) => route.fulfill({ contentType: 'text/event-stream', body: ': none\n\n' }));
  await page.getByLabel('Token').fill(newOperator().token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('No dispatches yet. Send one above').waitFor();
  await assertAccessible(page, 'no dispatches');
  await shot('dispatch-empty');
  await close();
});
