// Where the running stack is and what opens it: the environment, or else what `make up` wrote.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const file = `${root}target/devstack/env`;
const written = existsSync(file) ? parse(readFileSync(file, 'utf8')) : {};

function parse(text) {
  const lines = text.split('\n').map((line) => /^(?:export )?([A-Z0-9_]+)='(.*)'$/.exec(line));
  return Object.fromEntries(lines.filter(Boolean).map(([, key, value]) => [key, value.replaceAll(`'\\''`, "'")]));
}

function setting(name) {
  const value = process.env[name] ?? written[name];
  if (value === undefined) throw new Error(`${name} is not set: start the stack with \`make up DETACH=1\``);
  return value;
}

const url = (name) => setting(name).replace(/\/$/, '');

/** Addresses and secrets of the stack. */
export const stack = {
  get sessionUrl() { return url('SESSION_URL'); },
  get retellUrl() { return url('RETELL_URL'); },
  get taskChatUrl() { return url('TASK_CHAT_URL'); },
  get chatUrl() { return url('CHAT_URL'); },
  get dispatchUrl() { return url('DISPATCH_URL'); },
  get n8nUrl() { return url('STANDIN_N8N_URL'); },
  get retellStandInUrl() { return url('STANDIN_RETELL_URL'); },
  get liveKitUrl() { return url('STANDIN_LIVEKIT_URL'); },
  get jwtSecret() { return setting('JWT_SECRET'); },
  get webhookSecret() { return setting('WEBHOOK_SECRET'); },
};

/** Where screenshots go. */
export const screenshots = `${root}target/browser/`;
