// The API of the chats as an operator and as n8n see it; the widget as a visitor finds it, the console as an operator does.
import assert from 'node:assert/strict';
import { newPerson } from './people.js';
import { stack } from './stack.js';
import { eventually } from './wait.js';

/** An operator of all channels. */
export function newOperator(name = 'operator', claims = {}) {
  return newPerson(name, { claims: { role: 'operator', channels: '*', ...claims } });
}

async function call(headers, method, path, body) {
  const response = await fetch(stack.chatUrl + path, {
    method, headers: { ...headers, 'content-type': 'application/json' }, body: body && JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

/** The API in the name of one operator. */
export function chatsOf(operator) {
  const headers = { authorization: `Bearer ${operator.token}` };
  return {
    call: (...request) => call(headers, ...request),
    transcript: async (id) => (await call(headers, 'GET', `/api/sessions/${id}/messages`)).body.items,
  };
}

/** A request of n8n's. */
export async function asMachine(method, path, body) {
  const answer = await call({ 'x-n8n-webhook-secret': stack.webhookSecret }, method, path, body);
  assert.ok([200, 202].includes(answer.status), JSON.stringify(answer));
  return answer.body;
}

/** Says something in the name of a person or of the bot. */
export function say(sessionId, text, more = {}) {
  return asMachine('POST', '/api/send-message', { sessionId, text, ...more });
}

/** Sets what the bot's workflow does with the next messages of this chat. */
export async function botWill(sessionId, answer) {
  const response = await fetch(`${stack.n8nUrl}/_control`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ match: { sessionId }, times: 1, ...answer }),
  });
  assert.ok(response.ok, `the stand-in refused: ${await response.text()}`);
}

/** What the bot got from this chat, oldest first. */
export async function heardByBot(sessionId) {
  const log = await (await fetch(`${stack.n8nUrl}/_log`)).json();
  return log.items.map(({ body }) => body).filter((body) => body?.sessionId === sessionId).map(({ text }) => text);
}

/** The parts of the widget. */
export function widget(page) {
  const chat = page.locator('switchhook-chat');
  const turns = chat.locator('.turn:not(.remark) .text');
  return {
    launcher: chat.locator('.launcher'),
    badge: chat.locator('.count'),
    panel: chat.getByRole('dialog'),
    standing: chat.locator('.standing'),
    log: chat.locator('.log'),
    field: chat.getByRole('textbox', { name: 'Your message' }),
    sendButton: chat.getByRole('button', { name: 'Send' }),
    note: chat.locator('.note'),
    turns,
    own: chat.locator('.turn.user .text'),
    said: (text) => chat.locator('.turn .text').getByText(text, { exact: true }),
    remark: (text) => chat.locator('.turn.remark .text').getByText(text),
    state: (text) => chat.locator('.turn.user .state').getByText(text),
    writing: chat.locator('.writing'),
    readOut: chat.locator('[aria-live=polite].hidden'),
    async write(text) {
      const field = chat.getByRole('textbox', { name: 'Your message' });
      await field.fill(text);
      await field.press('Enter');
    },
    texts: () => turns.allInnerTexts(),
    sessionId: (channel = 'default') => eventually('the visitor has a chat', () => page.evaluate(
      (name) => JSON.parse(localStorage.getItem(`switchhook.chat.${name}`))?.sessionId, channel,
    )),
  };
}

/** A visitor with the panel open who has written this: `{page, id, …widget}`. */
export async function newVisitor(browser, text, { channel = 'default', ...options } = {}) {
  const opened = await browser.open(channel === 'default' ? '/demo' : `/demo?channel=${channel}`, options);
  const parts = widget(opened.page);
  await parts.launcher.click();
  if (text !== undefined) {
    await parts.write(text);
    await parts.said(text).waitFor();
  }
  return { ...opened, ...parts, id: await parts.sessionId(channel) };
}

/** The parts of the console. */
export function consoleOf(page) {
  const open = page.locator('.open-chat');
  return {
    row: (id) => page.locator(`.chat-row[href*="${id}"]`),
    rows: page.locator('.chat-row'),
    filter: page.getByLabel('Show'),
    search: page.getByRole('searchbox', { name: 'Search chats' }),
    live: page.locator('.connection', { hasText: 'Live' }),
    open,
    said: (text) => open.locator('.turn-text').getByText(text, { exact: true }),
    texts: () => open.locator('.turn-text').allInnerTexts(),
    standing: (word) => open.locator('.standing .badge').getByText(word, { exact: true }),
    takeOver: open.getByRole('button', { name: 'Take over' }),
    handBack: open.getByRole('button', { name: 'Hand back' }),
    field: open.getByRole('textbox', { name: 'Reply to the visitor' }),
    note: open.locator('.reply .field-note'),
    writing: open.getByText('The visitor is writing …'),
    async reply(text) {
      const field = open.getByRole('textbox', { name: 'Reply to the visitor' });
      await field.fill(text);
      await field.press('Enter');
    },
  };
}

/** An operator's console: `{page, …parts}`; `id` is the chat that is open in it. */
export async function newConsole(browser, { operator = newOperator(), id, query = {}, ...options } = {}) {
  const parameters = new URLSearchParams({ ...query, ...(id ? { chat: id } : {}) });
  const opened = await browser.openAs(operator, { path: `/?${parameters}`, ...options });
  const parts = consoleOf(opened.page);
  await parts.live.waitFor();
  if (id) await parts.field.waitFor();
  return { ...opened, ...parts, operator };
}
