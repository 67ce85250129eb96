// What the page says while n8n cannot be reached, refuses, or leaves everybody in the dark.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { n8nWill, startsReceived, whileN8nIsDown } from '../support/n8n.js';
import { panel } from '../support/panel.js';
import { newPerson } from '../support/people.js';
import { report, sessionsOf } from '../support/sessions.js';
import { eventually } from '../support/wait.js';

const RECOVERY_MS = 60_000;
const browser = useBrowser();

/** The session once a try has failed. */
async function afterAFailedTry(person) {
  return eventually('a try failed', async () => {
    const { session } = await sessionsOf(person).status();
    return session?.delivery.lastError && session;
  });
}

test('n8n is down: the page tells the reason and the next try, then goes on by itself', async () => {
  const person = newPerson('unreachable');
  await n8nWill(person, { mode: 'callback' });
  const { page, shot, close } = await browser.openAs(person);
  const { limit, startButton, control, ending } = panel(page);
  await whileN8nIsDown(async () => {
    await limit.fill('3');
    await startButton.click();
    const { delivery } = await afterAFailedTry(person);
    assert.equal(delivery.state, 'pending');
    assert.equal(delivery.lastError.code, 'n8n_unreachable');
    await control.getByText('Waiting for n8n').waitFor();
    await control.getByText(delivery.lastError.message).waitFor();
    await control.getByText(/Next try in \d+ s\./).waitFor();
    await control.getByText('Waiting since').waitFor();
    await shot('session-n8n-unreachable');
  });
  await ending('Session completed: 3 calls made').waitFor({ timeout: RECOVERY_MS });
  await close();
});

test('n8n is busy: the page tells so, then goes on by itself', async () => {
  const person = newPerson('busy');
  await n8nWill(person, { status: 503, body: 'Service Unavailable' });
  await n8nWill(person, { mode: 'callback' });
  const { page, close } = await browser.openAs(person);
  const { limit, startButton, control, ending } = panel(page);
  await limit.fill('3');
  await startButton.click();
  await control.getByText('Waiting for n8n').waitFor();
  await control.getByText('503').waitFor();
  await ending('Session completed: 3 calls made').waitFor({ timeout: RECOVERY_MS });
  await close();
});

test('a start stopped before n8n could be reached is cancelled, and the page says that nobody was called', async () => {
  const person = newPerson('cancelled');
  const { page, close } = await browser.openAs(person);
  const { limit, startButton, stopButton, control, ending } = panel(page);
  await whileN8nIsDown(async () => {
    await limit.fill('3');
    await startButton.click();
    await control.getByText('Waiting for n8n').waitFor();
    await stopButton.click();
    await ending('Session stopped: 0 calls made').waitFor();
  });
  await control.getByText('Stopped before the start was sent').waitFor();
  assert.equal((await sessionsOf(person).status()).session.delivery.state, 'cancelled');
  assert.equal(await startsReceived(person), 0);
  await close();
});

test('a start that n8n fails to run stops the session, with the words of n8n', async () => {
  const person = newPerson('refused');
  await n8nWill(person, { status: 500, body: { message: 'Error in workflow' } });
  const { page, shot, close } = await browser.openAs(person);
  const { limit, startButton, control, ending } = panel(page);
  await limit.fill('3');
  await startButton.click();
  await ending('Session failed: 0 calls made').waitFor();
  const { session } = await sessionsOf(person).status();
  assert.equal(session.delivery.state, 'failed');
  assert.match(session.delivery.lastError.message, /Error in workflow/);
  await control.getByText(session.delivery.lastError.message).first().waitFor();
  await shot('session-n8n-failed');
  await close();
});

test('an answer to a click that comes after the stream does not bring the past back', async () => {
  const person = newPerson('overtaken');
  await n8nWill(person, { status: 500, body: { message: 'Error in workflow' } });
  const { page, close } = await browser.openAs(person);
  const { limit, startButton, ending } = panel(page);
  const failed = ending('Session failed: 0 calls made');
  await page.route('**/api/ai-session/start', async (route) => {
    const response = await route.fetch();
    await failed.waitFor();
    await route.fulfill({ response });
  });
  await limit.fill('3');
  await startButton.click();
  await page.getByText('AI session started.').waitFor();
  assert.ok(await failed.isVisible());
  await close();
});

test('an unknown outcome is never sent again by itself; the person can, after a question', async () => {
  const person = newPerson('unknown');
  await n8nWill(person, { mode: 'silent', drop: 'after' });
  await n8nWill(person, { mode: 'silent' });
  const { page, shot, close } = await browser.openAs(person);
  const { limit, startButton, stopButton, resendButton, control, progress } = panel(page);
  await limit.fill('8');
  await startButton.click();
  await control.getByText('Nobody can tell whether n8n got the start').waitFor();
  assert.ok(await stopButton.isEnabled());
  await shot('session-unknown');
  assert.equal(await startsReceived(person), 1);
  await resendButton.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel' }).click();
  assert.equal(await startsReceived(person), 1);
  await resendButton.click();
  await page.getByRole('dialog').getByRole('button', { name: 'Send again' }).click();
  await control.getByText('n8n took the start').waitFor();
  const { id } = await sessionsOf(person).delivery('delivered');
  assert.equal(await startsReceived(person), 2);
  await report(id, { status: 'running', callsMade: 1 });
  await progress('1 of 8').waitFor();
  await close();
});

test('a report clears an unknown outcome up', async () => {
  const person = newPerson('cleared-up');
  await n8nWill(person, { mode: 'silent', drop: 'after' });
  const { page, close } = await browser.openAs(person);
  const { limit, startButton, resendButton, progress } = panel(page);
  await limit.fill('8');
  await startButton.click();
  await resendButton.waitFor();
  const { id } = await sessionsOf(person).delivery('unknown');
  await report(id, { status: 'running', callsMade: 2 });
  await progress('2 of 8').waitFor();
  await resendButton.waitFor({ state: 'detached' });
  await close();
});
