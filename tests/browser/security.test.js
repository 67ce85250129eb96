// Text that others wrote is text on every page that shows it. The widget, the tasks and the dispatches say so beside their own tests.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from './support/browser.js';
import { callsPage, personWithCalls } from './support/calls-page.js';
import { newConsole, newVisitor, say } from './support/chats.js';
import { n8nWill } from './support/n8n.js';
import { panel } from './support/panel.js';
import { newPerson } from './support/people.js';
import { analysedCall } from './support/retell.js';
import { report, sessionsOf } from './support/sessions.js';

const sessions = useBrowser('session');
const calls = useBrowser('retell');
const chats = useBrowser('chat');

const MARKUP = '<img src=x onerror="document.title=1"> <b>bold</b> <script>document.title=2</script>';
const MADE_OF_IT = ['img[src=x]', 'b', 'script:not([src])'];

/** Nothing on the page was made of the text, and nothing of it has run. */
async function isText(page, within) {
  for (const selector of MADE_OF_IT) {
    assert.equal(await page.locator(`${within} ${selector}`).count(), 0, selector);
  }
  assert.doesNotMatch(await page.title(), /^[12]$/);
}

test('what n8n reports is text on the sessions page', async () => {
  const person = newPerson('markup');
  const api = sessionsOf(person);
  await n8nWill(person, { mode: 'silent' });
  const { id } = await api.start(10);
  await api.delivery('delivered');
  await report(id, { status: 'finished', callsMade: 1, message: MARKUP });
  const { page, close } = await sessions.openAs(person, { path: `/?session=${id}` });
  const { drawer } = panel(page);
  await drawer.getByText('<b>bold</b>').first().waitFor();
  await isText(page, 'body');
  await close();
});

test('what was said in a call is text on the calls page', async () => {
  const { person, calls: [call] } = await personWithCalls((agent) => [analysedCall(agent, {
    transcript: `User: ${MARKUP}\n`,
    transcript_object: [{ role: 'user', content: MARKUP }],
    disconnection_reason: '<i>reason</i>',
    analysis: { call_summary: MARKUP, user_sentiment: 'Positive' },
  })]);
  const { page, close } = await calls.openAs(person, { path: `/?call=${call.call_id}` });
  const { drawer } = callsPage(page);
  await drawer.getByText('<b>bold</b>').first().waitFor();
  await isText(page, 'body');
  await close();
});

test("what a visitor writes is text in the operators' console", async () => {
  const visitor = await newVisitor(chats, MARKUP);
  await visitor.said(`You said: ${MARKUP}`).waitFor();
  await say(visitor.id, `From a person: ${MARKUP}`, { name: '<b>Name</b>' });
  const desk = await newConsole(chats, { id: visitor.id });
  await desk.said(`From a person: ${MARKUP}`).waitFor();
  await isText(desk.page, 'body');
  await isText(visitor.page, 'switchhook-chat');
  await desk.close();
  await visitor.close();
});
