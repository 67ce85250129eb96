// The recorded webhooks, as texts that no run has sent before.
import { randomBytes } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../data/retell/', import.meta.url));

/** Every recorded webhook below the folders of calls and chats: `[name, text]`. */
export function recorded() {
  const files = readdirSync(folder, { recursive: true }).map(String).sort();
  return files
    .filter((name) => name.includes('/') && name.endsWith('.json'))
    .map((name) => [name, readFileSync(folder + name, 'utf8')]);
}

/** One recorded webhook. */
export const named = (name) => readFileSync(folder + name, 'utf8');

/** The same text about another call and another agent, so that runs and tests do not meet each other's. */
export function fresh(text) {
  const mark = randomBytes(8).toString('hex');
  return text
    .replaceAll(/"((?:call|chat)_id)": "[^"]+"/g, `"$1": "$1_${mark}"`)
    .replaceAll(/"agent_id": "[^"]+"/g, `"agent_id": "agent_${mark}"`);
}
