// The form: sending a test dispatch, watching how it goes, cancelling it; and what is said when it is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import {
  callsTo, dispatchesOf, liveKitWill, move, newAccount, newNumber, newPage, withoutWorkers,
} from '../support/dispatches.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('dispatch');

/** Sends one through the form; gives the page and the dispatch as the API has it. */
async function sends({ destination = newNumber(), account = newAccount(), plan = {}, ...options } = {}) {
  await callsTo(destination, plan);
  const opened = await newPage(browser, { account, ...options });
  await opened.destination.fill(destination);
  await opened.account.fill(account);
  await opened.sendButton.click();
  await opened.sent.getByRole('heading', { name: destination }).waitFor();
  const [dispatch] = await dispatchesOf(opened.operator).ofAccount(account);
  return { ...opened, destination, number: destination, code: account, dispatch };
}

test('a test dispatch is watched while it rings, is answered and ends', async () => {
  const { number, dispatch, stands, step, sent, cancelButton, row, shot, operator, close } = await sends();
  await stands('Ringing').waitFor();
  await sent.getByText('The phone rings.').waitFor();
  await row(number).getByText('Ringing').waitFor();
  await shot('dispatch-ringing');
  await move(dispatch.room, 'answer');
  await stands('Answered').waitFor();
  await step(/Answered.*\d\d:\d\d:\d\d · 0:0[1-9]/s).waitFor();
  await shot('dispatch-answered');
  await move(dispatch.room, 'hang_up');
  await stands('Ended').waitFor();
  await step('Ended: hung up').waitFor();
  assert.equal(await cancelButton.count(), 0);
  await row(number).locator('td.wide', { hasText: 'Hung up' }).waitFor();
  await shot('dispatch-ended');
  const over = await dispatchesOf(operator).read(dispatch.dispatch_id);
  assert.equal(over.end_reason, 'hangup');
  assert.match(await row(number).locator('td.number').innerText(), /^\d+:\d\d$/);
  await close();
});

test('every field of the form arrives as it was typed', async () => {
  const { form, field, destination, account, part, sendButton, sent, operator, shot, close } = await newPage(browser);
  const [number, code] = [newNumber(), newAccount()];
  await callsTo(number);
  for (const title of ['Transfer and caller id', 'Session options', 'Metadata']) await part(title).click();
  await destination.fill(`+${number}`);
  await account.fill(code);
  const typed = {
    'Transfer target': '61731071901', 'Caller id': 'LiveKitNehosHosted', 'Caller number': '+61 123 456 789', 'Caller name': 'Nehos Hosted',
    LLM: 'openai/gpt-4o-mini', 'Speech to text': 'assemblyai/universal-streaming:en',
    'Text to speech': '{"provider": "cartesia", "voice": "v1"}', 'Cartesia voice': '043cfc81', 'Cartesia model': 'sonic-2',
    Metadata: '{"ticket_id": "INC-1234", "nested": {"a": [1]}}',
  };
  for (const [label, text] of Object.entries(typed)) await field(label).fill(text);
  await field('Preemptive generation').selectOption('On');
  await form.getByLabel('Record the call').check();
  await form.getByText('Recorded from the answer on.').waitFor();
  await form.getByText('The same with curl').click();
  await form.locator('.code').getByText('INC-1234').waitFor();
  await shot('dispatch-all-fields');
  await sendButton.click();
  await sent.getByRole('heading', { name: `+${number}` }).waitFor();
  const [dispatch] = await dispatchesOf(operator).ofAccount(code);
  assert.deepEqual(dispatch.metadata, {
    destination: `+${number}`, account_code: code, transfer_target: '61731071901', caller_id: 'LiveKitNehosHosted',
    caller_number: '+61 123 456 789', caller_name: 'Nehos Hosted', ticket_id: 'INC-1234', nested: { a: [1] },
  });
  assert.deepEqual(dispatch.session_options, {
    llm: 'openai/gpt-4o-mini', stt: 'assemblyai/universal-streaming:en', tts: { provider: 'cartesia', voice: 'v1' },
    cartesia_voice: '043cfc81', cartesia_model: 'sonic-2', preemptive_generation: true,
  });
  assert.equal(dispatch.record_call, true);
  await close();
});

test('what is wrong is said at its field in the words of the API, all at once, also in a folded part', async () => {
  const { destination, account, part, field, sendButton, fieldError, sent, operator, shot, close } = await newPage(browser, {
    expectErrors: true,
  });
  const wrong = { destination: 'nobody', caller_number: '12' };
  const { body } = await dispatchesOf(operator).call('POST', '/dispatch', wrong);
  await destination.fill('nobody');
  await part('Transfer and caller id').click();
  await field('Caller number').fill('12');
  await part('Transfer and caller id').click();
  await sendButton.click();
  await eventually('three faults', async () => (await fieldError('').count()) === 3);
  await fieldError(body.fields.destination).first().waitFor();
  await fieldError(body.fields.account_code).waitFor();
  assert.equal(await destination.getAttribute('aria-invalid'), 'true');
  assert.ok(await destination.evaluate((input) => input === document.activeElement), 'the first fault has the focus');
  assert.ok(await field('Caller number').isVisible(), 'the folded part is open');
  await shot('dispatch-bad-fields');
  await destination.fill(newNumber());
  await account.fill(newAccount());
  assert.equal(await fieldError('').count(), 1);
  assert.equal(await sent.count(), 0);
  await close();
});

test('metadata that is no JSON is told before anything is sent', async () => {
  const { destination, account, part, field, sendButton, fieldError, page, close } = await newPage(browser);
  const asked = [];
  page.on('request', (request) => request.method() === 'POST' && asked.push(request.url()));
  await destination.fill(newNumber());
  await account.fill(newAccount());
  await part('Metadata').click();
  await field('Metadata').fill('{ticket: 1');
  await sendButton.click();
  await fieldError('metadata is not JSON').waitFor();
  assert.deepEqual(asked, []);
  await close();
});

test('cancelling asks first, hangs up, and says so', async () => {
  const { stands, step, cancelButton, question, operator, dispatch, page, row, number, shot, close } = await sends();
  await stands('Ringing').waitFor();
  await cancelButton.click();
  const asked = question('Cancel this call?');
  await asked.getByText(`${number} stops ringing`).waitFor();
  await shot('dispatch-cancel-question', { fullPage: false });
  await asked.getByRole('button', { name: 'Leave it' }).click();
  assert.equal((await dispatchesOf(operator).read(dispatch.dispatch_id)).status, 'ringing');
  await cancelButton.click();
  await asked.getByRole('button', { name: 'Hang up' }).click();
  await page.getByText('The call was cancelled.').waitFor();
  await stands('Ended').waitFor();
  await step('Ended: cancelled').waitFor();
  await row(number).locator('td.wide', { hasText: 'Cancelled' }).waitFor();
  assert.equal((await dispatchesOf(operator).read(dispatch.dispatch_id)).end_reason, 'cancelled');
  await close();
});

test('without a worker nobody is called, and the page says what to check', async () => {
  await withoutWorkers(async () => {
    const { stands, step, sent, row, number, shot, close } = await sends();
    await stands('Dispatched').or(stands('No worker')).first().waitFor();
    await stands('No worker').waitFor();
    await sent.getByText('No worker of agent').waitFor();
    await sent.getByText('Check that the agent runs, and under this name.').waitFor();
    await step('No worker: nobody was called').waitFor();
    await row(number).locator('.badge', { hasText: 'No worker' }).waitFor();
    await shot('dispatch-no-worker');
    await close();
  });
});

for (const { plan, word, reason, words } of [
  { plan: { ending: 'busy' }, word: 'Ended', reason: 'busy' },
  { plan: { ending: 'no_answer', ringMs: 100 }, word: 'Ended', reason: 'no answer' },
  { plan: { ending: 'trunk_failure' }, word: 'Failed', reason: 'trunk failure', words: '503 Service Unavailable' },
]) {
  test(`a call that ends with ${plan.ending} tells so`, async () => {
    const { stands, step, sent, close } = await sends({ plan });
    await stands(word).waitFor();
    await step(`${word}: ${reason}`).waitFor();
    if (words) await sent.getByText(words).waitFor();
    await close();
  });
}

test('a caller id that the carrier refuses comes with a hint', async () => {
  const { stands, sent, row, number, drawer, shot, close } = await sends({ plan: { ending: 'refused' } });
  await stands('Failed').waitFor();
  await sent.getByText('403 Forbidden auth ID').waitFor();
  await sent.getByText('The carrier refused the caller id: set caller_id / caller_number to an approved number.').waitFor();
  await shot('dispatch-refused');
  await row(number).click();
  await drawer.getByText('The carrier refused the caller id').waitFor();
  await close();
});

test('a dispatch that LiveKit refuses is told with its words and the hint', async () => {
  const { page, destination, account, sendButton, refusal, row, drawer, shot, close } = await newPage(browser, { expectErrors: true });
  const [number, code] = [newNumber(), newAccount()];
  const words = '403 Forbidden auth ID';
  await liveKitWill({ status: 403, body: { code: 'permission_denied', msg: words } });
  await destination.fill(number);
  await account.fill(code);
  await sendButton.click();
  await refusal.getByText('The dispatch was not made').waitFor();
  await refusal.getByText(`LiveKit refused the dispatch: ${words}`).waitFor();
  await refusal.getByText('The carrier refused the caller id').waitFor();
  await shot('dispatch-livekit-refuses');
  // Without an id of LiveKit's there is what the list knows.
  await row(number).click();
  await drawer.getByText(words).first().waitFor();
  await page.keyboard.press('Escape');
  // What was typed is still there for the next try, which nothing holds up.
  assert.equal(await destination.inputValue(), number);
  await sendButton.click();
  await eventually('two rows', async () => (await row(number).count()) === 2);
  await close();
});

test('a number that was just dialled is dialled again only after a question', async () => {
  const { code, number, dispatch, sendButton, refusal, row, stands, drawer, question, operator, page, close } = await sends({ expectErrors: true });
  await stands('Ringing').waitFor();
  await sendButton.click();
  await refusal.getByText('This number was dialled a moment ago').waitFor();
  assert.equal((await dispatchesOf(operator).ofAccount(code)).length, 1);
  await refusal.getByRole('button', { name: 'Open that call' }).click();
  await drawer.getByText(dispatch.dispatch_id).first().waitFor();
  await page.keyboard.press('Escape');
  await refusal.getByRole('button', { name: 'Dial it again' }).click();
  await question('Dial the same number again?').getByRole('button', { name: 'Dial again' }).click();
  await eventually('two calls', async () => (await dispatchesOf(operator).ofAccount(code)).length === 2);
  await refusal.getByText('This number was dialled a moment ago').waitFor({ state: 'detached' });
  await eventually('two rows', async () => (await row(number).count()) === 2);
  await close();
});

test('an answer that does not arrive is not taken for a failure, and no second call is advised', async () => {
  const { destination, account, sendButton, refusal, page, shot, close } = await newPage(browser, { expectErrors: true });
  await page.route('**/dispatch', (route) => route.abort());
  await destination.fill(newNumber());
  await account.fill(newAccount());
  await sendButton.click();
  await refusal.getByText('Nobody can tell whether the phone rings').waitFor();
  await refusal.getByText('look there before you send it again').waitFor();
  assert.equal(await refusal.getByText('Try again').count(), 0);
  await shot('dispatch-no-answer');
  await close();
});

test('a double click sends one dispatch', async () => {
  const { destination, account, sendButton, sent, operator, close } = await newPage(browser);
  const [number, code] = [newNumber(), newAccount()];
  await callsTo(number);
  await destination.fill(number);
  await account.fill(code);
  await sendButton.dblclick();
  await sent.getByRole('heading', { name: number }).waitFor();
  assert.equal((await dispatchesOf(operator).ofAccount(code)).length, 1);
  await close();
});
