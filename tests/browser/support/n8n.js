// Steers the stand-in for n8n. Every answer is for one person's requests only.
import assert from 'node:assert/strict';
import { stack } from './stack.js';

/** Sets what n8n does with this person's next start: `{mode}`, `{status, body}` or `{mode, drop}`, each `times` times. */
export async function n8nWill(person, answer) {
  const response = await fetch(`${stack.n8nUrl}/_control`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ match: { userId: person.id }, times: 1, ...answer }),
  });
  assert.ok(response.ok, `the stand-in refused: ${await response.text()}`);
}

/** Forgets what n8n was told about this person, and lets go of what it holds. */
export async function n8nWillAgain(person) {
  const response = await fetch(`${stack.n8nUrl}/_control?userId=${encodeURIComponent(person.id)}`, { method: 'DELETE' });
  assert.ok(response.ok, `the stand-in refused: ${await response.text()}`);
}

/** How many start webhooks n8n got for this person. */
export async function startsReceived(person) {
  const log = await (await fetch(`${stack.n8nUrl}/_log`)).json();
  return log.items.filter(({ body }) => body?.userId === person.id).length;
}

/** Takes n8n down for everybody while `work` runs: nobody listens where its webhooks were. */
export async function whileN8nIsDown(work) {
  await tell('_down');
  try {
    await work();
  } finally {
    await tell('_up');
  }
}

async function tell(what) {
  const response = await fetch(`${stack.n8nUrl}/${what}`, { method: 'POST' });
  assert.ok(response.ok, `the stand-in refused: ${await response.text()}`);
}
