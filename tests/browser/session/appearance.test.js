// Accessibility, light and dark, phone width and zoom.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertAccessible, assertNoSidewaysScroll } from '../support/accessibility.js';
import { PHONE, useBrowser } from '../support/browser.js';
import { n8nWill } from '../support/n8n.js';
import { panel } from '../support/panel.js';
import { newPerson } from '../support/people.js';
import { report, sessionsOf } from '../support/sessions.js';

const browser = useBrowser();

/** The main states of the page, each with how to get a person into it and what then must be visible. */
const STATES = {
  idle: { prepare: async () => {}, seen: ({ idle }) => idle },
  active: { prepare: (person) => running(person, 37), seen: ({ progress }) => progress('37 of 100') },
  completed: { prepare: completed, seen: ({ ending }) => ending('Session completed: 100 calls made') },
  unknown: {
    prepare: async (person) => {
      await n8nWill(person, { mode: 'silent', drop: 'after' });
      await sessionsOf(person).start(100);
      await sessionsOf(person).delivery('unknown');
    },
    seen: ({ resendButton }) => resendButton,
  },
};

async function running(person, callsMade) {
  await n8nWill(person, { mode: 'silent' });
  const { id } = await sessionsOf(person).start(100);
  await sessionsOf(person).delivery('delivered');
  await report(id, { status: 'running', callsMade });
  return id;
}

async function completed(person) {
  const id = await running(person, 37);
  await report(id, { status: 'finished', callsMade: 100, message: 'Completed all calls' });
}

for (const colorScheme of ['light', 'dark']) {
  for (const [state, { prepare, seen }] of Object.entries(STATES)) {
    test(`axe finds nothing: ${state}, ${colorScheme}`, async () => {
      const person = newPerson(state);
      await prepare(person);
      const { page, shot, close } = await browser.openAs(person, { colorScheme });
      await seen(panel(page)).waitFor();
      await page.locator('.chart canvas').waitFor();
      await assertAccessible(page, `${state}, ${colorScheme}`);
      await shot(`session-${state}-${colorScheme}`);
      await close();
    });
  }

  test(`axe finds nothing: signed out, ${colorScheme}`, async () => {
    const { page, close } = await browser.open('/', { colorScheme });
    await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
    await assertAccessible(page, `signed out, ${colorScheme}`);
    await close();
  });

  test(`axe finds nothing: details, question, curl and table open, ${colorScheme}`, async () => {
    const person = newPerson('open');
    await STATES.unknown.prepare(person);
    const { page, shot, close } = await browser.openAs(person, { colorScheme });
    const { rows, drawer, resendButton } = panel(page);
    await page.getByText('The same with curl').click();
    await page.getByText('Show as a table').click();
    await assertAccessible(page, `curl and table, ${colorScheme}`);
    await rows.first().click();
    await drawer.waitFor();
    await assertAccessible(page, `details, ${colorScheme}`);
    await page.keyboard.press('Escape');
    await resendButton.click();
    await page.getByRole('dialog', { name: 'Send the start again?' }).waitFor();
    await assertAccessible(page, `question, ${colorScheme}`);
    await shot(`session-question-${colorScheme}`, { fullPage: false });
    await close();
  });
}

for (const [state, { prepare, seen }] of Object.entries(STATES)) {
  test(`a phone of 360 px needs no sideways scrolling: ${state}`, async () => {
    const person = newPerson(state);
    await prepare(person);
    const { page, shot, close } = await browser.openAs(person, { viewport: PHONE });
    await seen(panel(page)).waitFor();
    await page.getByText('The same with curl').click();
    await page.getByText('Show as a table').click();
    await assertNoSidewaysScroll(page, state);
    await assertAccessible(page, `${state}, phone`);
    await shot(`session-${state}-phone`);
    await close();
  });
}

test('on a phone the details cover the page and give it back', async () => {
  const person = newPerson('phone-details');
  await completed(person);
  const { page, shot, close } = await browser.openAs(person, { viewport: PHONE });
  const { rows, drawer } = panel(page);
  await rows.first().click();
  await drawer.getByText('Completed all calls').waitFor();
  assert.equal((await drawer.boundingBox()).width, PHONE.width);
  await assertNoSidewaysScroll(page, 'details');
  await shot('session-details-phone', { fullPage: false });
  await page.keyboard.press('Escape');
  await drawer.waitFor({ state: 'detached' });
  await close();
});

test('a zoom of 200 % needs no sideways scrolling', async () => {
  const person = newPerson('zoom');
  await running(person, 37);
  // Zooming halves the width that the page has, in its own pixels.
  const { page, shot, close } = await browser.openAs(person, { viewport: { width: 640, height: 450 } });
  await panel(page).progress('37 of 100').waitFor();
  await assertNoSidewaysScroll(page, '200 %');
  await shot('session-zoom-200');
  await close();
});

test('the theme switch wins over the system and is remembered', async () => {
  const { page, close } = await browser.openAs(newPerson('theme'), { colorScheme: 'light' });
  await panel(page).idle.waitFor();
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByRole('button', { name: 'Theme: auto' }).click();
  await page.getByRole('button', { name: 'Theme: light' }).click();
  await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
  assert.notEqual(await background(), light);
  await page.reload();
  await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
  assert.notEqual(await background(), light);
  await close();
});
