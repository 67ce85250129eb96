// Accessibility, light and dark, phone width and zoom.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertAccessible, assertNoSidewaysScroll } from '../support/accessibility.js';
import { PHONE, useBrowser } from '../support/browser.js';
import { newConsole, newVisitor, say } from '../support/chats.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('chat');
const UNBROKEN = `Number 4711-${'AVeryLongNumberWithoutAnySpaceInIt'.repeat(4)}-0815`;

/** A visitor in the middle of a chat. */
async function talking(options) {
  const visitor = await newVisitor(browser, `Where is my wheel?\n${UNBROKEN}`, options);
  await eventually('the answer', async () => (await visitor.turns.count()) === 2);
  await say(visitor.id, `See https://example.com/${'path/'.repeat(20)}`, { name: 'Sarah' });
  await eventually('the operator', async () => (await visitor.turns.count()) === 3);
  return visitor;
}

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing: widget closed, open and in a chat, ${colorScheme}`, async () => {
    const { page, launcher, shot, close } = await talking({ colorScheme });
    await assertAccessible(page, `chat, ${colorScheme}`);
    await shot(`chat-widget-${colorScheme}`, { fullPage: false });
    await launcher.click();
    await assertAccessible(page, `closed, ${colorScheme}`);
    await close();
  });

  test(`axe finds nothing: console, list, chat, dialogs, ${colorScheme}`, async () => {
    const visitor = await talking();
    const { page, row, field, open, shot, close } = await newConsole(browser, { colorScheme });
    await row(visitor.id).waitFor();
    await assertAccessible(page, `list, ${colorScheme}`);
    await row(visitor.id).click();
    await field.waitFor();
    await open.getByText(UNBROKEN).first().waitFor();
    await open.getByText('About this chat').click();
    await assertAccessible(page, `chat, ${colorScheme}`);
    await shot(`chat-console-${colorScheme}`);
    await field.fill('A reply');
    await open.getByRole('button', { name: 'Canned' }).click();
    await assertAccessible(page, `canned, ${colorScheme}`);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Settings' }).click();
    await assertAccessible(page, `settings, ${colorScheme}`);
    await shot(`chat-settings-${colorScheme}`, { fullPage: false });
    await close();
    await visitor.close();
  });
}

test('on a phone the widget covers the page, keeps the focus inside, and gives the page back', async () => {
  const { page, panel, launcher, field, shot, close } = await talking({ viewport: PHONE });
  const { x, y, width, height } = await panel.boundingBox();
  assert.deepEqual({ x, y, width, height }, { x: 0, y: 0, ...PHONE });
  assert.ok((await field.boundingBox()).y + (await field.boundingBox()).height < PHONE.height);
  await assertAccessible(page, 'widget, phone');
  await shot('chat-widget-phone', { fullPage: false });
  for (let presses = 0; presses < 12; presses += 1) {
    await page.keyboard.press('Tab');
    const where = await page.evaluate(() => document.activeElement.tagName);
    assert.ok(['SWITCHHOOK-CHAT', 'BODY'].includes(where), where);
  }
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'hidden' });
  await launcher.waitFor();
  await assertNoSidewaysScroll(page, 'demonstration');
  await shot('chat-demo-phone', { fullPage: false });
  await close();
});

test('on a phone the console shows the list or the chat, and neither is too wide', async () => {
  const visitor = await talking();
  const { page, row, rows, field, open, shot, close } = await newConsole(browser, { viewport: PHONE });
  await row(visitor.id).waitFor();
  await assertNoSidewaysScroll(page, 'list');
  await assertAccessible(page, 'list, phone');
  await shot('chat-console-list-phone', { fullPage: false });
  await row(visitor.id).click();
  await field.waitFor();
  await open.getByText(UNBROKEN).first().waitFor();
  assert.equal(await rows.first().isVisible(), false);
  await assertNoSidewaysScroll(page, 'chat');
  await assertAccessible(page, 'chat, phone');
  await shot('chat-console-phone', { fullPage: false });
  await open.getByRole('button', { name: 'All chats' }).click();
  await row(visitor.id).waitFor();
  await close();
  await visitor.close();
});

test('a zoom of 200 % needs no sideways scrolling and leaves room to read', async () => {
  const visitor = await talking();
  // Zooming halves the width and the height that the page has, in its own pixels.
  const { page, field, open, shot, close } = await newConsole(browser, { id: visitor.id, viewport: { width: 640, height: 450 } });
  await field.waitFor();
  await assertNoSidewaysScroll(page, '200 %');
  assert.ok((await open.locator('.newest-box').boundingBox()).height >= 200);
  await shot('chat-console-zoom-200');
  await close();
  await visitor.close();
});
