// What the tests of a stage need: the services, n8n's editor, and patience.
import { stack } from '../../browser/support/stack.js';
import { eventually } from '../../browser/support/wait.js';
import { Editor } from './editor.js';

/** How long anything may take on a busy machine. */
export const WITHIN_MS = 60_000;

export const n8nUrl = process.env.N8N_URL;
export const editor = new Editor({ url: n8nUrl, cookie: process.env.N8N_COOKIE, directory: process.env.N8N_DIRECTORY });

/** Asks again until `probe` gives something truthy, which is returned. */
export const soon = (what, probe) => eventually(what, probe, WITHIN_MS);

/** Posts JSON, or a text as it is; gives `{status, body}`. */
export async function post(url, body, headers = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  const text = await response.text();
  let read = text;
  try { read = JSON.parse(text); } catch { /* not everything is JSON */ }
  return { status: response.status, body: read };
}

/** The header that Switchhook presents to n8n. */
export const fromSwitchhook = { 'x-n8n-webhook-secret': process.env.N8N_OUTBOUND_SECRET };

/** The header that n8n presents to Switchhook. */
export const fromN8n = { 'x-n8n-webhook-secret': stack.webhookSecret };
