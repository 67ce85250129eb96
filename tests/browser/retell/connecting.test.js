// The agent: connecting it, why that is refused, proving it, disconnecting it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { callsPage, personWithCalls } from '../support/calls-page.js';
import { newPerson } from '../support/people.js';
import { analysedCall, apiKeyFor, callsOf, newAgent } from '../support/retell.js';
import { stack } from '../support/stack.js';

const browser = useBrowser('retell');

test('a bad id is refused at the field in the words of the API, a good one connects', async () => {
  const person = newPerson('connects');
  const agentId = newAgent();
  const { body } = await callsOf(person).call('POST', '/connect-agent', { agentId: 'agent-7' });
  const { page, shot, close } = await browser.openAs(person, { expectErrors: true });
  const { agentId: field, connectButton, fieldError, online, offline, card } = callsPage(page);
  await offline.waitFor();
  await page.getByText('No calls yet. Connect your Retell agent first').waitFor();
  await shot('retell-offline');
  await field.fill('agent-7');
  await connectButton.click();
  await fieldError(body.fields.agentId).waitFor();
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  await shot('retell-bad-id');
  await field.fill(agentId);
  await fieldError(body.fields.agentId).waitFor({ state: 'detached' });
  await connectButton.click();
  await online.waitFor();
  await page.getByText('Retell agent connected successfully.').waitFor();
  await card.getByText(agentId).first().waitFor();
  await card.getByText(`${stack.retellUrl}/api/retell/webhook`).waitFor();
  await card.getByText('Not proven to be yours').waitFor();
  await page.getByText('No calls yet. Paste the webhook address at Retell').waitFor();
  assert.deepEqual(await callsOf(person).agent(), { isConnected: true, agentId, aiStatus: 'Online', proven: false });
  await close();
});

test('an agent of another account is refused at the field', async () => {
  const { agentId } = await personWithCalls();
  const late = newPerson('late');
  const { body } = await callsOf(late).call('POST', '/connect-agent', { agentId });
  assert.equal(body.code, 'agent_already_connected');
  const { page, close } = await browser.openAs(late, { expectErrors: true });
  const { agentId: field, connectButton, fieldError, offline } = callsPage(page);
  await field.fill(agentId);
  await connectButton.click();
  await fieldError(body.error).waitFor();
  assert.ok(await offline.isVisible());
  await close();
});

test('a key that does not see the agent is refused at its field, the right one proves it', async () => {
  const { person, agentId } = await personWithCalls();
  const [wrong, right] = [await apiKeyFor(newAgent()), await apiKeyFor(agentId)];
  const { page, shot, close } = await browser.openAs(person, { expectErrors: true });
  const { apiKey, connectButton, fieldError, card } = callsPage(page);
  await card.getByText('Prove this agent, or connect another').click();
  assert.equal(await apiKey.getAttribute('type'), 'password');
  await apiKey.fill(wrong);
  await connectButton.click();
  await fieldError('Retell does not show this agent to this API key').waitFor();
  await shot('retell-wrong-key');
  await apiKey.fill(right);
  await connectButton.click();
  await card.getByText('Retell confirmed that this agent is yours.').waitFor();
  // Nothing on the page repeats the secret, the command for the shell neither.
  assert.ok(!(await page.content()).includes(right));
  assert.ok((await callsOf(person).agent()).proven);
  await close();
});

test('where proof is required, the page asks for the key and says at its field that it is missing', async () => {
  const person = newPerson('required');
  const { page, close } = await browser.open('/', { expectErrors: true });
  const { agentId: field, apiKey, connectButton, fieldError, card } = callsPage(page);
  // The running service does not require it: its answers are changed to those of one that does.
  await page.route('**/page.json', async (route) => {
    const facts = await (await route.fetch()).json();
    await route.fulfill({ json: { ...facts, settings: { ...facts.settings, requireProof: true } } });
  });
  const refusal = { success: false, error: 'apiKey is required', code: 'invalid_field', fields: { apiKey: 'is required' } };
  await page.route('**/connect-agent', (route) => route.fulfill({ status: 400, json: refusal }));
  await page.getByLabel('Token').fill(person.token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await card.getByText('Retell API key', { exact: true }).waitFor();
  await field.fill(newAgent());
  await connectButton.click();
  await fieldError('is required').waitFor();
  assert.equal(await apiKey.getAttribute('aria-invalid'), 'true');
  await card.getByText('The same with curl').click();
  await card.getByText('YOUR_RETELL_API_KEY').waitFor();
  await close();
});

test('disconnecting asks first, says what comes of it, and leaves the calls', async () => {
  const { person } = await personWithCalls((agentId) => [analysedCall(agentId)]);
  const { page, shot, close } = await browser.openAs(person);
  const { disconnectButton, question, online, offline, rows, connectButton } = callsPage(page);
  await disconnectButton.click();
  await question('Disconnect the agent?').getByText('Calls so far stay here.').waitFor();
  await shot('retell-question', { fullPage: false });
  await question('Disconnect the agent?').getByRole('button', { name: 'Cancel' }).click();
  assert.ok(await online.isVisible());
  await disconnectButton.click();
  await question('Disconnect the agent?').getByRole('button', { name: 'Disconnect' }).click();
  await offline.waitFor();
  await page.getByText('Retell agent disconnected.').waitFor();
  await connectButton.waitFor();
  assert.equal(await rows.count(), 1);
  assert.equal((await callsOf(person).agent()).isConnected, false);
  await close();
});

test('an agent that is connected elsewhere shows without a reload', async () => {
  const person = newPerson('elsewhere');
  const { page, close } = await browser.openAs(person);
  const { offline, online, live } = callsPage(page);
  await offline.waitFor();
  await live.waitFor();
  await callsOf(person).connect(newAgent());
  await online.waitFor();
  await callsOf(person).call('DELETE', '/disconnect-agent');
  await offline.waitFor();
  await close();
});
