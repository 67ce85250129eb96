// Operators read along, take over, answer and hand back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { asMachine, botWill, heardByBot, newConsole, newOperator, newVisitor, say } from '../support/chats.js';
import { newPerson } from '../support/people.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('chat');

test('two visitors and an operator: takeover, typing both ways, a reply with a name, and back to the bot', async () => {
  const one = await newVisitor(browser, 'My chain is broken');
  const two = await newVisitor(browser, 'Are you open today?');
  await one.said('You said: My chain is broken').waitFor();
  const desk = await newConsole(browser);
  await desk.row(one.id).getByText('Bot: You said: My chain is broken').waitFor();
  await desk.row(two.id).getByText('Bot: You said: Are you open today?').waitFor();
  await desk.row(one.id).click();
  await desk.said('My chain is broken').waitFor();
  assert.deepEqual(await desk.texts(), ['My chain is broken', 'You said: My chain is broken']);
  await desk.standing('Bot').waitFor();
  await desk.open.getByText('The bot answers here, also after your reply.').waitFor();
  await desk.takeOver.click();
  await desk.standing('You').waitFor();
  await one.remark('Our team has joined the chat.').waitFor();
  await one.standing.getByText('Our team answers').waitFor();

  await desk.page.getByRole('button', { name: 'Settings' }).click();
  await desk.page.getByLabel('Your name, as visitors see it').fill('Sarah King');
  await desk.page.keyboard.press('Escape');
  await one.field.pressSequentially('Can somebody');
  await desk.writing.waitFor();
  await desk.field.pressSequentially('Of course');
  await one.writing.getByText('Support is writing').waitFor();
  await desk.shot('chat-console', { fullPage: false });
  await one.shot('chat-widget-operator', { fullPage: false });
  await desk.field.press('Enter');
  await one.said('Of course').waitFor();
  await eventually('nobody writes any more', async () => (await one.writing.innerText()) === '');
  assert.match(await one.panel.locator('.turn.operator .by').innerText(), /^Sarah King/);
  await one.field.press('Enter');
  await desk.said('Can somebody').waitFor();
  await desk.row(two.id).getByText('You said: Are you open today?').waitFor();

  await two.write('And tomorrow?');
  await two.said('You said: And tomorrow?').waitFor();
  await desk.row(two.id).getByText('You said: And tomorrow?').waitFor();
  assert.deepEqual(await heardByBot(one.id), ['My chain is broken']);
  await desk.handBack.click();
  await desk.standing('Bot').waitFor();
  await one.remark('The assistant answers again.').waitFor();
  await one.write('Bot, are you back?');
  await one.said('You said: Bot, are you back?').waitFor();
  await desk.said('You said: Bot, are you back?').waitFor();
  const all = ['My chain is broken', 'You said: My chain is broken', 'Of course', 'Can somebody', 'Bot, are you back?',
    'You said: Bot, are you back?'];
  assert.deepEqual(await desk.texts(), all);
  assert.deepEqual(await one.texts(), all);
  assert.deepEqual(await two.texts(), ['Are you open today?', 'You said: Are you open today?', 'And tomorrow?', 'You said: And tomorrow?']);
  for (const opened of [one, two, desk]) await opened.close();
});

test('a visitor whom the bot hands over is shown first, counted in the title, and found by the filter', async () => {
  const visitor = await newVisitor(browser, 'I want a person');
  await visitor.said('You said: I want a person').waitFor();
  const desk = await newConsole(browser);
  await desk.row(visitor.id).waitFor();
  await asMachine('POST', `/api/sessions/${visitor.id}/takeover`, {});
  await desk.row(visitor.id).getByText('Waiting', { exact: true }).waitFor();
  await eventually('the title counts', async () => /^\(\d+\) Chats$/.test(await desk.page.title()));
  assert.equal(await desk.page.locator('h1').innerText(), 'Chats');
  assert.match(await desk.rows.first().innerText(), /Waiting/);
  await desk.shot('chat-console-waiting', { fullPage: false });
  await desk.page.getByRole('button', { name: /visitors? waits? for a person/ }).click();
  await eventually('the address holds the filter', () => desk.page.url().includes('state=waiting'));
  await desk.row(visitor.id).waitFor();
  await desk.page.reload();
  await desk.row(visitor.id).click();
  await desk.open.getByText('The visitor waits for a person.').waitFor();
  await desk.takeOver.click();
  await desk.standing('You').waitFor();
  await desk.row(visitor.id).waitFor({ state: 'detached' });
  await desk.filter.selectOption('operator');
  await desk.row(visitor.id).getByText('You', { exact: true }).waitFor();
  await visitor.close();
  await desk.close();
});

test('what a visitor says in a chat that is not open is new until it is looked at, also after a reload', async () => {
  const visitor = await newVisitor(browser, 'First');
  await visitor.said('You said: First').waitFor();
  await asMachine('POST', `/api/sessions/${visitor.id}/takeover`, {});
  const desk = await newConsole(browser);
  await desk.row(visitor.id).waitFor();
  await visitor.write('Is anybody there?');
  await desk.row(visitor.id).getByText('Visitor: Is anybody there?').waitFor();
  await desk.row(visitor.id).getByText('New', { exact: true }).waitFor();
  await desk.page.reload();
  await desk.row(visitor.id).getByText('New', { exact: true }).waitFor();
  await desk.row(visitor.id).click();
  await desk.said('Is anybody there?').waitFor();
  await desk.row(visitor.id).getByText('New', { exact: true }).waitFor({ state: 'detached' });
  await desk.page.keyboard.press('Escape');
  await desk.open.waitFor({ state: 'detached' });
  await desk.page.reload();
  await desk.row(visitor.id).waitFor();
  assert.equal(await desk.row(visitor.id).getByText('New', { exact: true }).count(), 0);
  await visitor.close();
  await desk.close();
});

test('a chat that another operator has is taken from him only after a question', async () => {
  const visitor = await newVisitor(browser, 'Hello');
  const first = await newConsole(browser, { id: visitor.id, operator: newOperator('first') });
  const second = await newConsole(browser, { id: visitor.id, operator: newOperator('second'), expectErrors: true });
  await first.takeOver.click();
  await first.standing('You').waitFor();
  await eventually('the second sees who has it', async () => (await second.standing('You').count()) === 0
    && (await second.standing('Bot').count()) === 0);
  const question = second.page.getByRole('dialog', { name: 'Take it from somebody else?' });
  await second.takeOver.click();
  await question.getByText(/has this chat/).waitFor();
  await question.getByRole('button', { name: 'Cancel' }).click();
  await first.standing('You').waitFor();
  await second.takeOver.click();
  await question.getByRole('button', { name: 'Take over' }).click();
  await second.standing('You').waitFor();
  await eventually('the first sees it', async () => (await first.standing('You').count()) === 0);
  for (const opened of [visitor, first, second]) await opened.close();
});

test('a chat whose bot failed is flagged until somebody answers', async () => {
  const visitor = await newVisitor(browser);
  const desk = await newConsole(browser);
  await botWill(visitor.id, { status: 500, body: { message: 'Error in workflow' } });
  await visitor.write('Break');
  await desk.row(visitor.id).getByText('Flagged').waitFor();
  await desk.filter.selectOption('flagged');
  await desk.row(visitor.id).click();
  await desk.standing('Flagged: the bot did not answer').waitFor();
  await desk.said('Break').waitFor();
  await desk.reply('A person is here');
  await visitor.said('A person is here').waitFor();
  await desk.row(visitor.id).waitFor({ state: 'detached' });
  await desk.standing('Flagged: the bot did not answer').waitFor({ state: 'detached' });
  await visitor.close();
  await desk.close();
});

test('a reply to a visitor who has left is kept, and he sees it when he comes back', async () => {
  const visitor = await newVisitor(browser, 'I have to go');
  await visitor.said('You said: I have to go').waitFor();
  const desk = await newConsole(browser, { id: visitor.id });
  const address = visitor.page.url();
  await visitor.page.goto('about:blank');
  await desk.standing('Offline').waitFor();
  await desk.reply('See you, <b>then</b>');
  await desk.open.getByText('The visitor is not connected: he sees it when he comes back').waitFor();
  await visitor.page.goto(address);
  await visitor.badge.getByText('1', { exact: true }).waitFor();
  await visitor.launcher.click();
  await visitor.said('See you, <b>then</b>').waitFor();
  await visitor.close();
  await desk.close();
});

test('a reply that does not get through is not lost, and goes out once', async () => {
  const visitor = await newVisitor(browser, 'Anybody?');
  const desk = await newConsole(browser, { id: visitor.id, expectErrors: true });
  await desk.page.route('**/api/send-message', (route) => route.abort(), { times: 1 });
  await desk.reply('Precious words');
  await desk.open.getByText('Not sent').waitFor();
  await desk.open.getByText('The service cannot be reached.').waitFor();
  await desk.shot('chat-console-unsent', { fullPage: false });
  await desk.open.getByRole('button', { name: 'Try again' }).click();
  await visitor.said('Precious words').waitFor();
  await desk.open.getByText('Not sent').waitFor({ state: 'detached' });
  assert.equal((await desk.texts()).filter((text) => text === 'Precious words').length, 1);
  await visitor.close();
  await desk.close();
});

test('what was missed while the network was away is there when it is back, and a reply goes on being written', async () => {
  const visitor = await newVisitor(browser, 'Before');
  await visitor.said('You said: Before').waitFor();
  const desk = await newConsole(browser, { id: visitor.id, expectErrors: true });
  await desk.field.fill('half a thou');
  await desk.page.context().setOffline(true);
  await desk.page.locator('.connection', { hasText: /Reconnecting since/ }).waitFor();
  await visitor.write('In the gap');
  await visitor.said('You said: In the gap').waitFor();
  await desk.page.context().setOffline(false);
  await desk.said('You said: In the gap').waitFor();
  await desk.live.waitFor();
  assert.deepEqual(await desk.texts(), ['Before', 'You said: Before', 'In the gap', 'You said: In the gap']);
  assert.equal(await desk.field.inputValue(), 'half a thou');
  await visitor.close();
  await desk.close();
});

test('what the bot still says after the takeover only operators see', async () => {
  const visitor = await newVisitor(browser);
  const desk = await newConsole(browser, { id: visitor.id });
  await botWill(visitor.id, { status: 200, body: { text: 'Too late' }, delayMs: 3000 });
  await visitor.write('Slow bot?');
  await desk.said('Slow bot?').waitFor();
  await eventually('the bot has it', async () => (await heardByBot(visitor.id)).length === 1);
  await desk.takeOver.click();
  await desk.said('Too late').waitFor();
  await desk.open.getByText('Only operators see this').waitFor();
  await desk.reply('I am here');
  await visitor.said('I am here').waitFor();
  assert.deepEqual(await visitor.texts(), ['Slow bot?', 'I am here']);
  await visitor.close();
  await desk.close();
});

test('the keyboard alone chooses, takes over, answers, uses a canned reply, hands back and closes', async () => {
  const visitor = await newVisitor(browser, 'Keys, please');
  await visitor.said('You said: Keys, please').waitFor();
  const desk = await newConsole(browser);
  const { page } = desk;
  await page.keyboard.press('/');
  await page.keyboard.type(visitor.id);
  await eventually('the one that is looked for', async () => (await desk.rows.count()) === 1);
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await desk.row(visitor.id).waitFor();
  const reached = () => desk.row(visitor.id).evaluate((row) => row === document.activeElement);
  await eventually('j goes through the chats', async () => {
    await page.keyboard.press('j');
    return reached();
  });
  await page.keyboard.press('Enter');
  await desk.field.waitFor();
  await page.keyboard.press('t');
  await desk.standing('You').waitFor();
  await page.keyboard.press('r');
  await page.keyboard.type('We are on it, t and r.');
  await desk.open.getByRole('button', { name: 'Canned' }).click();
  await page.getByRole('button', { name: 'Keep what I have written' }).click();
  await page.keyboard.press('Escape');
  await desk.field.press('Enter');
  await visitor.said('We are on it, t and r.').waitFor();
  await desk.field.press('Escape');
  await page.keyboard.press('c');
  await page.getByRole('dialog', { name: 'Canned replies' }).getByRole('button', { name: 'We are on it, t and r.', exact: true }).click();
  await eventually('the reply is in the field', async () => (await desk.field.inputValue()) === 'We are on it, t and r.');
  await desk.field.press('Enter');
  await eventually('both came', async () => (await visitor.said('We are on it, t and r.').count()) === 2);
  await desk.field.press('Escape');
  await page.keyboard.press('b');
  await desk.standing('Bot').waitFor();
  await page.keyboard.press('?');
  const help = page.getByRole('dialog', { name: 'Keyboard' });
  for (const words of ['Take the chat over', 'Write a reply', 'Next chat', 'Search']) await help.getByText(words, { exact: true }).waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await desk.open.waitFor({ state: 'detached' });
  await visitor.close();
  await desk.close();
});

test('a chat is deleted after a question, for the visitor too, who can begin a new one', async () => {
  const visitor = await newVisitor(browser, 'Forget me');
  await visitor.said('You said: Forget me').waitFor();
  const desk = await newConsole(browser, { id: visitor.id });
  const other = await newConsole(browser, { id: visitor.id });
  await desk.open.getByText('About this chat').click();
  await desk.open.getByRole('button', { name: 'Delete this chat' }).click();
  await desk.page.getByRole('dialog', { name: 'Delete this chat?' }).getByRole('button', { name: 'Delete the chat' }).click();
  for (const { page, row } of [desk, other]) {
    await page.getByText('This chat is not there').waitFor();
    await row(visitor.id).waitFor({ state: 'detached' });
  }
  await visitor.remark('This chat was deleted.').waitFor();
  assert.deepEqual(await visitor.texts(), []);
  await visitor.write('Hello again');
  await visitor.said('You said: Hello again').waitFor();
  assert.notEqual(await visitor.sessionId(), visitor.id);
  for (const opened of [visitor, desk, other]) await opened.close();
});

test('an operator chooses how he is called, and the browser keeps it', async () => {
  const operator = newOperator('settings');
  const { page, close } = await newConsole(browser, { operator });
  const settings = () => page.getByRole('button', { name: 'Settings' }).click();
  const [name, sound, desktop] = ['Your name, as visitors see it', 'Play a sound', 'Show a notification on the desktop']
    .map((label) => page.getByLabel(label));
  await settings();
  await desktop.click();
  await page.getByText('The browser does not allow notifications of this page.').waitFor();
  assert.equal(await desktop.isChecked(), false);
  await page.context().grantPermissions(['notifications']);
  await desktop.click();
  await eventually('it is allowed', () => desktop.isChecked());
  await sound.check();
  await name.fill('Sarah King');
  await page.reload();
  await settings();
  assert.equal(await name.inputValue(), 'Sarah King');
  assert.ok(await sound.isChecked());
  assert.ok(await desktop.isChecked());
  await close();
});

test('an open chat tells its sessionId and how to do the same with curl, and a link leads to it', async () => {
  const visitor = await newVisitor(browser, 'Copy me');
  const { page, open, field, said, close } = await newConsole(browser, { id: visitor.id });
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await open.getByRole('button', { name: 'Copy sessionId' }).click();
  await open.getByText('Copied').waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), visitor.id);
  await field.fill("It's here");
  await open.getByText('About this chat').click();
  const curl = await open.getByLabel('Send a message').innerText();
  assert.ok(curl.includes(visitor.id) && curl.includes('/api/send-message') && curl.includes(`It'\\''s here`), curl);
  await open.getByText('/demo', { exact: false }).waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('Escape');
  await open.waitFor({ state: 'detached' });
  assert.ok(!page.url().includes('chat='));
  await page.goBack();
  await said('Copy me').waitFor();
  await visitor.close();
  await close();
});

test('without the role the console says so, and without anybody signed in how to get in', async () => {
  const { page, close } = await browser.openAs(newPerson('nobody'));
  await page.getByText('This console is for operators').waitFor();
  await page.getByRole('link', { name: 'demonstration' }).click();
  await page.getByRole('heading', { name: 'Your bicycle, running quietly again by Friday.' }).waitFor();
  await close();
  const out = await browser.open('/chats/');
  await out.page.getByRole('heading', { name: 'You are not signed in' }).waitFor();
  await out.close();
});

test('an operator of another channel sees nothing of a chat', async () => {
  const visitor = await newVisitor(browser, 'A secret');
  await visitor.said('You said: A secret').waitFor();
  const stranger = newOperator('stranger', { channels: ['stream'] });
  const { page, close } = await browser.openAs(stranger, { path: `/?chat=${visitor.id}&state=all&q=${visitor.id}`, expectErrors: true });
  await page.getByText('This chat is not there').waitFor();
  await page.getByText('No chat fits.').waitFor();
  await say(visitor.id, 'Another secret');
  await visitor.said('Another secret').waitFor();
  assert.equal(await page.getByText('secret').count(), 0);
  await visitor.close();
  await close();
});
