// A session from Start to its end, watched without a reload.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { n8nWill, startsReceived } from '../support/n8n.js';
import { panel } from '../support/panel.js';
import { newPerson } from '../support/people.js';
import { claim, report, sessionsOf } from '../support/sessions.js';

const browser = useBrowser();

test('a person starts a session and watches n8n make its calls until the completion', async () => {
  const person = newPerson('start');
  await n8nWill(person, { mode: 'callback' });
  const { page, shot, close } = await browser.openAs(person);
  const { limit, startButton, stopButton, idle, active, progressBar, ending } = panel(page);
  await idle.waitFor();
  assert.ok(await stopButton.isDisabled());
  await limit.fill('5');
  await startButton.click();
  await active.waitFor();
  await progressBar.waitFor();
  await ending('Session completed: 5 calls made').waitFor();
  await idle.waitFor();
  await shot('session-completed');
  assert.equal(await startsReceived(person), 1);
  const { session } = await sessionsOf(person).status();
  assert.equal(session.stopReason, 'completed');
  assert.equal(session.callsMade, 5);
  await close();
});

test('progress, elapsed time and the message of the completion show as n8n reports them', async () => {
  const person = newPerson('progress');
  await n8nWill(person, { mode: 'silent' });
  const { page, shot, close } = await browser.openAs(person);
  const { limit, startButton, progress, progressBar, ending, control } = panel(page);
  await limit.fill('100');
  await startButton.click();
  await progress('0 of 100').waitFor();
  const session = await sessionsOf(person).delivery('delivered');
  await report(session.id, { status: 'running', callsMade: 36 });
  await progress('36 of 100').waitFor();
  await claim(session.id, 'lead-37');
  await progress('37 of 100').waitFor();
  assert.equal(await progressBar.getAttribute('aria-valuetext'), '37 of 100');
  assert.match(await page.title(), /^37 of 100/);
  assert.match(await control.locator('.facts').innerText(), /Elapsed\s+0:\d\d/);
  await shot('session-active');
  await report(session.id, { status: 'finished', callsMade: 100, message: 'Completed <b>all</b> calls' });
  await ending('Session completed: 100 calls made').waitFor();
  // What n8n says is text, whatever it looks like.
  await control.getByText('Completed <b>all</b> calls').waitFor();
  await close();
});

test('a completion in the answer that n8n held back ends the session too', async () => {
  const person = newPerson('respond');
  await n8nWill(person, { mode: 'respond' });
  const { page, close } = await browser.openAs(person);
  const { limit, startButton, ending } = panel(page);
  await limit.fill('3');
  await startButton.click();
  await ending('Session completed: 3 calls made').waitFor();
  await close();
});

test('a held answer is said to be awaited, and since when', async () => {
  const person = newPerson('held');
  await n8nWill(person, { status: 200, body: { status: 'finished', callsMade: 2 }, delayMs: 3000 });
  const { page, close } = await browser.openAs(person);
  const { limit, startButton, control, ending } = panel(page);
  await limit.fill('2');
  await startButton.click();
  await control.getByText('n8n has the start and is working').waitFor();
  await control.getByText('Waiting since the start').waitFor();
  await ending('Session completed: 2 calls made').waitFor();
  await close();
});

test('Stop ends the session, says what it cannot reach, and refuses the next claim', async () => {
  const person = newPerson('stop');
  await n8nWill(person, { mode: 'silent' });
  const { page, shot, close } = await browser.openAs(person);
  const { limit, startButton, stopButton, progress, ending, idle } = panel(page);
  await limit.fill('50');
  await startButton.click();
  const session = await sessionsOf(person).delivery('delivered');
  await report(session.id, { status: 'running', callsMade: 7 });
  await progress('7 of 50').waitFor();
  const hint = await stopButton.evaluate((button) => document.getElementById(button.getAttribute('aria-describedby')).textContent);
  assert.match(hint, /does not claim its calls goes on/);
  await stopButton.click();
  await ending('Session stopped: 7 calls made').waitFor();
  await idle.waitFor();
  await shot('session-stopped');
  assert.equal((await claim(session.id, 'lead-8')).reason, 'stopped');
  await close();
});

test('a session that was started elsewhere appears without a reload', async () => {
  const person = newPerson('elsewhere');
  await n8nWill(person, { mode: 'silent' });
  const { page, close } = await browser.openAs(person);
  const { idle, live, progress, rows } = panel(page);
  await idle.waitFor();
  await live.waitFor();
  await sessionsOf(person).start(12);
  await progress('0 of 12').waitFor();
  await rows.getByText('Active').waitFor();
  await close();
});

test('a failed run is told in the words of n8n', async () => {
  const person = newPerson('failed');
  await n8nWill(person, { mode: 'silent' });
  const { page, shot, close } = await browser.openAs(person);
  const { limit, startButton, ending, control } = panel(page);
  await limit.fill('10');
  await startButton.click();
  const session = await sessionsOf(person).delivery('delivered');
  await report(session.id, { status: 'failed', callsMade: 4, message: 'The dialler has no credit left' });
  await ending('Session failed: 4 calls made').waitFor();
  await control.getByText('The dialler has no credit left').waitFor();
  await shot('session-failed');
  await close();
});
