// Accessibility, light and dark, phone width and zoom.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertAccessible, assertNoSidewaysScroll } from '../support/accessibility.js';
import { PHONE, useBrowser } from '../support/browser.js';
import { callsPage, personWithCalls } from '../support/calls-page.js';
import { newPerson } from '../support/people.js';
import { analysedCall } from '../support/retell.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('retell');

/** Calls of every kind, the newest last. */
function motley(agentId) {
  const ago = (hours) => ({ start_timestamp: Date.now() - hours * 3600_000 });
  const turns = [
    ['agent', 'Hello, this is the front desk. How can I help?'],
    ['user', 'I have been waiting for my parcel for three weeks.'],
    ['user', 'It is number 4711-AVeryLongNumberWithoutAnySpaceInItThatHasToBreakSomewhere-0815.'],
    ['injected', 'The customer is on the priority list.'],
    ['transfer_target', 'Dispatch here, I will look at it.'],
    ['agent', 'It leaves today.'],
  ];
  return [
    analysedCall(agentId, { ...ago(50), call_status: 'not_connected', disconnection_reason: 'dial_no_answer', duration_ms: 0 }),
    analysedCall(agentId, { ...ago(30), call_status: 'error', disconnection_reason: 'error_retell', analysis: { user_sentiment: 'Unknown' } }),
    analysedCall(agentId, { ...ago(20), analysis: { call_successful: false, user_sentiment: 'Negative' } }),
    analysedCall(agentId, { ...ago(10), direction: 'outbound', analysis: { user_sentiment: 'Neutral', call_summary: 'Long. '.repeat(80) } }),
    analysedCall(agentId, {
      ...ago(1),
      transcript_object: turns.map(([role, content]) => ({ role, content })),
      analysis: { custom_analysis_data: { refund: true } },
    }),
  ];
}

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing: no agent, ${colorScheme}`, async () => {
    const { page, shot, close } = await browser.openAs(newPerson('empty'), { colorScheme });
    await callsPage(page).offline.waitFor();
    await page.locator('.chart canvas').first().waitFor();
    await page.getByText('The same with curl').first().click();
    await assertAccessible(page, `no agent, ${colorScheme}`);
    await shot(`retell-empty-${colorScheme}`);
    await close();
  });

  test(`axe finds nothing: calls, their details, questions, ${colorScheme}`, async () => {
    const { person } = await personWithCalls(motley);
    const { page, shot, close } = await browser.openAs(person, { colorScheme });
    const { rows, drawer, question, disconnectButton, card } = callsPage(page);
    await eventually('five rows', async () => (await rows.count()) === 5);
    await page.locator('.chart canvas').first().waitFor();
    await eventually('the figures', async () => (await page.locator('.split tbody tr').count()) > 8);
    await shot(`retell-calls-${colorScheme}`);
    for (const closed of await page.locator('summary').all()) if (await closed.isVisible()) await closed.click();
    await card.getByLabel('Agent id').waitFor();
    await assertAccessible(page, `calls, all unfolded, ${colorScheme}`);
    await rows.first().click();
    await drawer.getByText('It leaves today.').waitFor();
    await drawer.getByText("Retell's analysis").click();
    await assertAccessible(page, `details, ${colorScheme}`);
    await shot(`retell-details-${colorScheme}`, { fullPage: false });
    await page.keyboard.press('Escape');
    await disconnectButton.click();
    await question('Disconnect the agent?').waitFor();
    await assertAccessible(page, `question, ${colorScheme}`);
    await close();
  });

  test(`axe finds nothing: what cannot be loaded, ${colorScheme}`, async () => {
    const { person } = await personWithCalls();
    const { page, shot, close } = await browser.open('/', { colorScheme, expectErrors: true });
    await page.route(({ pathname }) => pathname.startsWith('/api/retell/'), (route) => route.fulfill({ status: 500, body: '' }));
    await page.getByLabel('Token').fill(person.token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await eventually('three failures', async () => (await page.getByRole('button', { name: 'Try again' }).count()) === 3);
    await assertAccessible(page, `failures, ${colorScheme}`);
    await shot(`retell-failures-${colorScheme}`);
    await close();
  });
}

test('a phone of 360 px needs no sideways scrolling', async () => {
  const { person } = await personWithCalls(motley);
  const { page, shot, close } = await browser.openAs(person, { viewport: PHONE });
  const { rows, drawer } = callsPage(page);
  await eventually('five rows', async () => (await rows.count()) === 5);
  await shot('retell-calls-phone');
  const table = page.locator('.table-scroll').last();
  assert.ok(await table.evaluate((box) => box.scrollWidth <= box.clientWidth), 'the table fits');
  for (const closed of await page.locator('summary').all()) if (await closed.isVisible()) await closed.click();
  await assertNoSidewaysScroll(page, 'calls');
  await assertAccessible(page, 'calls, phone');
  await rows.first().click();
  await drawer.getByText('It leaves today.').waitFor();
  assert.equal((await drawer.boundingBox()).width, PHONE.width);
  await assertNoSidewaysScroll(page, 'details');
  assert.ok(await drawer.evaluate((box) => box.scrollWidth <= box.clientWidth), 'the details fit');
  await drawer.getByText('Transcript', { exact: true }).scrollIntoViewIfNeeded();
  await shot('retell-details-phone', { fullPage: false });
  await assertAccessible(page, 'details, phone');
  await close();
});

test('a phone without an agent needs no sideways scrolling', async () => {
  const { page, shot, close } = await browser.openAs(newPerson('phone'), { viewport: PHONE });
  await callsPage(page).connectButton.waitFor();
  await assertNoSidewaysScroll(page, 'no agent');
  await shot('retell-empty-phone');
  await close();
});

test('a zoom of 200 % needs no sideways scrolling', async () => {
  const { person } = await personWithCalls(motley);
  // Zooming halves the width that the page has, in its own pixels.
  const { page, shot, close } = await browser.openAs(person, { viewport: { width: 640, height: 450 } });
  const { rows } = callsPage(page);
  await eventually('five rows', async () => (await rows.count()) === 5);
  await assertNoSidewaysScroll(page, '200 %');
  await shot('retell-zoom-200');
  await close();
});
