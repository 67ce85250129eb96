// A visitor writes through the widget and sees what is answered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { useBrowser } from '../support/browser.js';
import { botWill, heardByBot, newVisitor, say, widget } from '../support/chats.js';
import { stack } from '../support/stack.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('chat');
const MOST_BYTES = 20_000;
const MOST_CHARS = 5000;
const MESSAGES_A_MINUTE = 30;

test('the widget is less than 20 kB of traffic, and one tag that is there twice is one chat', async () => {
  const response = await fetch(`${stack.chatUrl}/widget.js`);
  assert.match(response.headers.get('content-type'), /javascript/);
  assert.ok(gzipSync(await response.text()).length < MOST_BYTES);
  const { page, close } = await browser.open('/demo');
  await widget(page).launcher.waitFor();
  await page.evaluate(() => new Promise((resolve) => {
    const script = document.createElement('script');
    Object.assign(script, { src: 'widget.js', onload: resolve });
    document.body.append(script);
  }));
  assert.equal(await page.locator('switchhook-chat').count(), 1);
  await close();
});

test('who only looks at a page has no chat; who opens the widget has one, under a strict policy for scripts and styles', async () => {
  const { page, close } = await browser.open('/demo');
  const { launcher, panel, field, standing } = widget(page);
  await launcher.waitFor();
  assert.equal(await page.evaluate(() => localStorage.length), 0);
  assert.equal(await launcher.evaluate((button) => getComputedStyle(button).position), 'fixed');
  assert.equal(await launcher.evaluate((button) => getComputedStyle(button).backgroundColor), 'rgb(47, 93, 67)');
  await launcher.click();
  await panel.waitFor();
  await standing.getByText('An assistant answers').waitFor();
  assert.ok(await field.evaluate((element) => element.getRootNode().activeElement === element));
  assert.match(await widget(page).sessionId(), /^cw-\d+-[a-z0-9]{16,}$/);
  await close();
});

test('two visitors are answered, each his own, and neither sees the other', async () => {
  const one = await newVisitor(browser, 'I am the first');
  const two = await newVisitor(browser, 'I am the second');
  await one.said('You said: I am the first').waitFor();
  await two.said('You said: I am the second').waitFor();
  assert.deepEqual(await one.texts(), ['I am the first', 'You said: I am the first']);
  assert.deepEqual(await two.texts(), ['I am the second', 'You said: I am the second']);
  assert.notEqual(one.id, two.id);
  await eventually('it is read out', async () => (await one.readOut.innerText()) === 'Assistant: You said: I am the first');
  await one.shot('chat-widget', { fullPage: false });
  await one.close();
  await two.close();
});

test('an answer that is streamed grows on the screen and ends as it was stored', async () => {
  const text = 'Tell me a longer story, piece by piece';
  const { page, write, said, close } = await newVisitor(browser, undefined, { channel: 'stream' });
  await page.evaluate(() => {
    window.grown = new Set();
    const { shadowRoot } = document.querySelector('switchhook-chat');
    new MutationObserver(() => {
      const bubble = shadowRoot.querySelector('.turn.bot .text');
      if (bubble !== null) window.grown.add(bubble.textContent);
    }).observe(shadowRoot, { childList: true, subtree: true, characterData: true });
  });
  await write(text);
  await said(`You said: ${text}`).waitFor();
  const grown = await page.evaluate(() => [...window.grown]);
  assert.ok(grown.length > 2, `seen: ${JSON.stringify(grown)}`);
  for (const [index, piece] of grown.slice(1).entries()) assert.ok(piece.startsWith(grown[index]), JSON.stringify(grown));
  await page.reload();
  await widget(page).launcher.click();
  await said(`You said: ${text}`).waitFor();
  assert.deepEqual(await widget(page).texts(), [text, `You said: ${text}`]);
  await close();
});

test('a page load keeps the chat, and another tab has it too', async () => {
  const { page, id, said, close } = await newVisitor(browser, 'Keep this');
  await said('You said: Keep this').waitFor();
  await page.reload();
  const again = widget(page);
  await again.launcher.click();
  await again.said('You said: Keep this').waitFor();
  assert.deepEqual(await again.texts(), ['Keep this', 'You said: Keep this']);
  assert.equal(await again.sessionId(), id);
  const tab = await page.context().newPage();
  await tab.goto(page.url());
  const other = widget(tab);
  await other.launcher.click();
  await other.said('You said: Keep this').waitFor();
  await other.write('From the other tab');
  await again.said('From the other tab').waitFor();
  await again.said('You said: From the other tab').waitFor();
  await other.said('You said: From the other tab').waitFor();
  const texts = ['Keep this', 'You said: Keep this', 'From the other tab', 'You said: From the other tab'];
  assert.deepEqual(await again.texts(), texts);
  assert.deepEqual(await other.texts(), texts);
  await close();
});

test('what looks like HTML is text, line breaks are kept, and addresses are links', async () => {
  const { page, id, own, field, said, turns, close } = await newVisitor(browser);
  await botWill(id, { status: 200, body: { text: '<img src=x onerror="document.title=1">\nSee https://example.com/a_(b)?c=1&d=2. Bye' } });
  await field.fill('<b>one</b>');
  await field.press('Shift+Enter');
  await field.pressSequentially('two');
  await field.press('Enter');
  await eventually('the answer', async () => (await turns.count()) === 2);
  assert.equal(await own.innerText(), '<b>one</b>\ntwo');
  assert.equal(await turns.nth(1).innerText(), '<img src=x onerror="document.title=1">\nSee https://example.com/a_(b)?c=1&d=2. Bye');
  const link = turns.nth(1).getByRole('link');
  assert.equal(await link.getAttribute('href'), 'https://example.com/a_(b)?c=1&d=2');
  assert.equal(await link.getAttribute('rel'), 'noopener noreferrer nofollow');
  await botWill(id, { status: 200, body: { text: 'javascript:alert(1) and (https://example.com/x)!' } });
  await field.fill('More');
  await field.press('Enter');
  await said('javascript:alert(1) and (https://example.com/x)!').waitFor();
  assert.deepEqual(await turns.nth(3).getByRole('link').evaluateAll((links) => links.map(({ href }) => href)), ['https://example.com/x']);
  assert.notEqual(await page.title(), '1');
  await close();
});

test('without a network the widget says so, keeps what is typed, and sends it once when the network is back', async () => {
  const { page, id, standing, state, said, write, texts, shot, close } = await newVisitor(browser, 'Before the tunnel', { expectErrors: true });
  await said('You said: Before the tunnel').waitFor();
  await page.context().setOffline(true);
  await standing.getByText('Not connected.').waitFor();
  await write('In the tunnel');
  await write('Still in it');
  await eventually('both are kept', async () => (await state('Is sent when the connection is back').count()) === 2);
  await shot('chat-widget-offline', { fullPage: false });
  await say(id, 'Said meanwhile', { whenOffline: 'store', name: 'Sarah' });
  await page.context().setOffline(false);
  await said('You said: Still in it').waitFor();
  const expected = ['Before the tunnel', 'You said: Before the tunnel', 'Said meanwhile', 'In the tunnel', 'Still in it',
    'You said: In the tunnel', 'You said: Still in it'];
  assert.deepEqual([...await texts()].sort(), [...expected].sort());
  assert.deepEqual((await texts()).slice(0, 3), expected.slice(0, 3));
  assert.deepEqual(await heardByBot(id), ['Before the tunnel', 'In the tunnel', 'Still in it']);
  await page.reload();
  await widget(page).launcher.click();
  await said('You said: Still in it').waitFor();
  assert.equal((await widget(page).texts()).length, expected.length);
  await close();
});

test('a message whose acknowledgement was lost is sent again, and is there once', async () => {
  const { page, close } = await browser.open('/demo', { expectErrors: true });
  const { launcher, standing, write, said, state, texts, sessionId } = widget(page);
  let lost = 0;
  await page.routeWebSocket(/\/ws/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((frame) => {
      if (lost > 0 || JSON.parse(frame).type !== 'ack') {
        socket.send(frame);
        return;
      }
      lost += 1;
      socket.close({ code: 1012 });
      server.close();
    });
  });
  await page.reload();
  await launcher.click();
  await write('Only once');
  await standing.getByText('Not connected.').waitFor();
  await page.evaluate(() => dispatchEvent(new Event('online')));
  await said('You said: Only once').waitFor();
  assert.equal(lost, 1);
  assert.deepEqual(await texts(), ['Only once', 'You said: Only once']);
  assert.equal(await state('Sending').count(), 0);
  assert.deepEqual(await heardByBot(await sessionId()), ['Only once']);
  await close();
});

test('what comes while the panel is closed is counted on the bubble, over page loads, until it is seen', async () => {
  const { page, id, panel, launcher, badge, said, close } = await newVisitor(browser, 'I will be away');
  await said('You said: I will be away').waitFor();
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'hidden' });
  assert.equal(await badge.isVisible(), false);
  await say(id, 'Are you there?', { name: 'Sarah' });
  await say(id, 'Hello?', { name: 'Sarah' });
  await badge.getByText('2', { exact: true }).waitFor();
  assert.match(await launcher.getAttribute('aria-label'), /^Open chat: .*, 2 new messages$/);
  await page.reload();
  const again = widget(page);
  await again.badge.getByText('2', { exact: true }).waitFor();
  await again.launcher.click();
  await again.said('Hello?').waitFor();
  await again.badge.waitFor({ state: 'hidden' });
  await page.reload();
  await widget(page).launcher.waitFor();
  await widget(page).launcher.click();
  await widget(page).said('Hello?').waitFor();
  assert.equal(await widget(page).badge.isVisible(), false);
  await close();
});

test('the keyboard alone opens, writes, reads and closes, and the page around hears nothing of it', async () => {
  const { page, close } = await browser.open('/demo');
  const { launcher, panel, said } = widget(page);
  await launcher.waitFor();
  await page.evaluate(() => {
    window.heard = [];
    document.addEventListener('keydown', ({ key }) => window.heard.push(key));
  });
  await launcher.focus();
  await page.keyboard.press('Enter');
  await panel.waitFor();
  await page.keyboard.type('By hand');
  await page.keyboard.press('Enter');
  await said('You said: By hand').waitFor();
  const focused = () => page.evaluate(() => document.querySelector('switchhook-chat').shadowRoot.activeElement?.className);
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(), 'log');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(), 'close');
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'hidden' });
  assert.equal(await focused(), 'launcher');
  assert.deepEqual(await page.evaluate(() => window.heard), []);
  await close();
});

test('near the end of the room a counter shows, and what is too long or nothing cannot be sent', async () => {
  const { field, note, sendButton, turns, own, close } = await newVisitor(browser);
  await field.fill('😀'.repeat(MOST_CHARS));
  await note.getByText('0 characters left.').waitFor();
  await field.fill(`${'😀'.repeat(MOST_CHARS)}x`);
  await note.getByText('1 too many: a message has at most 5000 characters.').waitFor();
  assert.ok(await sendButton.isDisabled());
  await field.press('Enter');
  await field.fill('  \n ');
  await field.press('Enter');
  assert.equal(await turns.count(), 0);
  await field.fill('x'.repeat(MOST_CHARS));
  await field.press('Enter');
  await own.waitFor();
  await close();
});

test('who writes too fast is told so, and loses nothing', async () => {
  const { page, write, own, field, state, shot, close } = await newVisitor(browser);
  const refused = state('Not sent: Too many messages');
  // While the test types, some of the minute goes by.
  let sent = 0;
  while (sent < 3 * MESSAGES_A_MINUTE && (sent < MESSAGES_A_MINUTE || (await refused.count()) === 0)) {
    sent += 1;
    await write(`Number ${sent}`);
  }
  await eventually('the others are sent', async () => (await state('Sending').count()) === 0);
  assert.equal(await own.count(), sent);
  const words = await own.last().innerText();
  await shot('chat-widget-too-fast', { fullPage: false });
  await page.getByRole('button', { name: 'Try again' }).last().waitFor();
  const refusals = await refused.count();
  await page.getByRole('button', { name: 'Edit' }).last().click();
  assert.equal(await field.inputValue(), words);
  assert.equal(await own.count(), sent - 1);
  assert.equal(await refused.count(), refusals - 1);
  await close();
});

test('a channel that there is not is told, and not asked for again', async () => {
  const { page, close } = await browser.open('/demo?channel=nobody');
  const { launcher, standing, field } = widget(page);
  const sockets = [];
  page.on('websocket', (socket) => sockets.push(socket.url()));
  await launcher.click();
  await standing.getByText('This chat is not available here.').waitFor();
  assert.ok(await field.isDisabled());
  await page.keyboard.press('Escape');
  await launcher.click();
  assert.equal(sockets.length, 1);
  await close();
});

test('a bot that fails is told, and the chat goes on', async () => {
  const { id, write, said, remark, close } = await newVisitor(browser);
  await botWill(id, { status: 500, body: { message: 'Error in workflow' } });
  await write('Are you broken?');
  await remark('The assistant cannot answer at the moment').waitFor();
  await write('And now?');
  await said('You said: And now?').waitFor();
  await close();
});
