// The API of the dispatches as an operator sees it, LiveKit's stand-in, and the page as a person finds it.
import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { newPerson } from './people.js';
import { stack } from './stack.js';
import { eventually } from './wait.js';

/** Somebody who works with dispatches. */
export function newOperator(name = 'operator', options = {}) {
  return newPerson(name, { claims: { role: 'operator' }, ...options });
}

/** An account that nobody has yet. */
export const newAccount = () => `acc-${randomUUID()}`;

/** A number that nobody has dialled yet, and whose end means nothing to the stand-in. */
export const newNumber = () => `614${randomInt(1_000, 9_999)}${randomInt(1_000, 9_999)}7`;

/** The API in the name of one operator. */
export function dispatchesOf(operator) {
  const headers = { authorization: `Bearer ${operator.token}`, 'content-type': 'application/json' };
  const call = async (method, path, body) => {
    const response = await fetch(stack.dispatchUrl + path, { method, headers, body: body && JSON.stringify(body) });
    return { status: response.status, body: await response.json() };
  };
  const expect200 = async (...request) => {
    const { status, body } = await call(...request);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  return {
    call,
    send: (order) => expect200('POST', '/dispatch', { account_code: newAccount(), ...order }),
    read: (id) => expect200('GET', `/dispatch/${id}`),
    ofAccount: async (account) => (await expect200('GET', `/dispatches?account_code=${account}`)).items,
    /** What the agent reports at the end of a call. */
    report: (report) => expect200('POST', '/agent/call-summary', report),
    /** Waits until the dispatch stands so; returns it. */
    status: (id, status) => eventually(`${id} is ${status}`, async () => {
      const dispatch = await expect200('GET', `/dispatch/${id}`);
      return dispatch.status === status && dispatch;
    }),
  };
}

/** How the next calls to a number go; by themselves they ring until they are told otherwise. */
export function callsTo(destination, plan = {}) {
  return tell('POST', '_plan', { destination, ending: 'never', ...plan });
}

/** Moves the call of a room on: `ring`, `answer`, `hang_up`, as soon as it is so far. */
export function move(room, what) {
  return eventually(`the call can ${what}`, async () => (await request('POST', '_call', { room, do: what })).ok);
}

/** No worker takes a job while `work` runs. */
export async function withoutWorkers(work) {
  await tell('POST', '_workers', { workers: 0 });
  try {
    await work();
  } finally {
    await tell('POST', '_workers', { workers: 1 });
  }
}

/** LiveKit answers the next request for a dispatch like this. */
export function liveKitWill(answer) {
  return tell('POST', '_control', { path: '/twirp/livekit.AgentDispatchService/CreateDispatch', times: 1, ...answer });
}

async function tell(...what) {
  const response = await request(...what);
  assert.ok(response.ok, `the stand-in refused: ${await response.text()}`);
}

function request(method, path, body) {
  return fetch(`${stack.liveKitUrl}/${path}`, {
    method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
}

/** The parts of the page. */
export function dispatchesPage(page) {
  const form = page.getByRole('region', { name: 'Send a test dispatch' });
  const list = page.getByRole('region', { name: 'Dispatches', exact: true });
  const field = (label) => form.getByLabel(label, { exact: true });
  const sent = form.locator('.sent');
  return {
    form,
    field,
    destination: field('Destination'),
    account: field('Account code'),
    part: (title) => form.locator('summary', { hasText: title }),
    sendButton: form.getByRole('button', { name: 'Send test dispatch' }),
    fieldError: (text) => form.locator('.field-note.error', { hasText: text }),
    refusal: form.getByRole('alert'),
    sent,
    stands: (word) => sent.locator('.badge').getByText(word, { exact: true }),
    step: (text) => sent.locator('.steps li', { hasText: text }),
    cancelButton: sent.getByRole('button', { name: 'Cancel the call' }),
    list,
    rows: list.locator('tbody tr:has(a)'),
    row: (text) => list.locator('tbody tr:has(a)', { hasText: text }),
    accountFilter: list.getByRole('searchbox', { name: 'Account code' }),
    statusFilter: list.getByLabel('Status'),
    drawer: page.getByRole('dialog', { name: 'Dispatch' }),
    question: (title) => page.getByRole('dialog', { name: title }),
    live: page.locator('.connection', { hasText: 'Live' }),
  };
}

/** An operator on the page, who sees one account's dispatches only where `account` is given. */
export async function newPage(browser, { operator = newOperator(), account, query = {}, ...options } = {}) {
  const parameters = new URLSearchParams({ ...query, ...(account ? { account } : {}) });
  const opened = await browser.openAs(operator, { path: `/?${parameters}`, ...options });
  const parts = dispatchesPage(opened.page);
  await parts.live.waitFor();
  return { ...opened, ...parts, operator };
}
