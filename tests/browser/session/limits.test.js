// What the page says when a start is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { n8nWill } from '../support/n8n.js';
import { panel } from '../support/panel.js';
import { newPerson } from '../support/people.js';
import { report, sessionsOf } from '../support/sessions.js';

const browser = useBrowser();

for (const [typed, sent] of [['0', 0], ['10001', 10_001], ['many', 'many'], ['2.5', 2.5], ['', undefined]]) {
  test(`the limit "${typed}" is refused at the field, in the words of the API`, async () => {
    const person = newPerson('limit');
    const { body } = await sessionsOf(person).call('POST', '/start', { dailyCallLimit: sent });
    const { page, shot, close } = await browser.openAs(person, { expectErrors: true });
    const { limit, startButton, idle } = panel(page);
    await limit.fill(typed);
    await startButton.click();
    await page.locator('.field-note.error', { hasText: body.fields.dailyCallLimit }).waitFor();
    assert.equal(await limit.getAttribute('aria-invalid'), 'true');
    assert.ok(await idle.isVisible());
    if (typed === '0') await shot('session-bad-limit');
    await limit.fill('10');
    await page.locator('.field-note.error').waitFor({ state: 'detached' });
    await close();
  });
}

test('a used-up day is explained at the field', async () => {
  const person = newPerson('used-up');
  await n8nWill(person, { mode: 'silent' });
  const { page, close } = await browser.openAs(person, { expectErrors: true });
  const { limit, startButton, ending } = panel(page);
  const { id } = await sessionsOf(person).start(5);
  await sessionsOf(person).delivery('delivered');
  await report(id, { status: 'finished', callsMade: 5 });
  await ending('Session completed: 5 calls made').waitFor();
  const { body } = await sessionsOf(person).call('POST', '/start', { dailyCallLimit: 5 });
  assert.equal(body.code, 'daily_limit_reached');
  await limit.fill('5');
  await startButton.click();
  await page.locator('.field-note.error', { hasText: body.error }).waitFor();
  await close();
});
