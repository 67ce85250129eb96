// Who is looking: sign-in links, no sign-in, bad links, sign-out; and a stream that breaks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { n8nWill } from '../support/n8n.js';
import { panel } from '../support/panel.js';
import { newPerson } from '../support/people.js';
import { sessionsOf } from '../support/sessions.js';

const browser = useBrowser();

test('a sign-in link signs in, tells who it is, and leaves no token behind', async () => {
  const person = newPerson('link');
  const { page, close } = await browser.openAs(person);
  await page.locator('.user', { hasText: person.email }).waitFor();
  assert.equal(new URL(page.url()).hash, '');
  assert.ok(!(await page.evaluate(() => document.cookie)).includes('access_token'));
  const cookie = (await page.context().cookies()).find(({ name }) => name === 'access_token');
  assert.ok(cookie.httpOnly);
  await close();
});

test('without a sign-in the page says how to get one, and a pasted token is enough', async () => {
  const { page, shot, close } = await browser.open();
  await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
  await page.getByText('make up').waitFor();
  await shot('signed-out');
  await page.getByLabel('Token').fill(newPerson('pasted').token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await panel(page).idle.waitFor();
  await close();
});

test('an expired link says so in the words of the service', async () => {
  const { page, close } = await browser.open(`/#token=${newPerson('late', { expiresInS: -3600 }).token}`, { expectErrors: true });
  await page.getByText('The sign-in link did not work').waitFor();
  assert.equal(new URL(page.url()).hash, '');
  await close();
});

test('signing out shows nothing more of the person', async () => {
  const person = newPerson('leaves');
  await n8nWill(person, { mode: 'silent' });
  await sessionsOf(person).start(10);
  const { page, close } = await browser.openAs(person);
  await panel(page).active.waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
  assert.equal(await page.getByText('AI System Active').count(), 0);
  await close();
});

test('a broken stream says since when, comes back, and shows what was missed', async () => {
  const person = newPerson('offline');
  const { page, shot, close } = await browser.openAs(person, { expectErrors: true });
  const { live, rows, progress } = panel(page);
  await live.waitFor();
  await page.context().setOffline(true);
  await page.locator('.connection', { hasText: /Reconnecting since \d\d:\d\d:\d\d/ }).waitFor();
  await shot('session-reconnecting');
  await n8nWill(person, { mode: 'silent' });
  await sessionsOf(person).start(9);
  await page.context().setOffline(false);
  await live.waitFor();
  await progress('0 of 9').waitFor();
  await rows.getByText('Active').waitFor();
  await close();
});
