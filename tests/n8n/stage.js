// One stage: an n8n of its own with all workflows, and the stage's tests against it and the stack around it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { stack } from '../browser/support/stack.js';
import { Editor } from './support/editor.js';
import { N8n } from './support/n8n.js';
import { allTemplates, credentials, ownWorkflows, variant, withSettings } from './support/workflows.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const PASSWORD = 'Owner-of-a-test-1';
const FILES_AT_ONCE = 4;
const PAUSE_S = 0.3;
/** Published by the test that needs it to be late. */
const LATE = 'TestUnpublished1';

const FAILING = "throw new Error('the model is away');";
const AGENT = "return { json: { output: 'An agent says hello' } };";
const NO_PHONE = "return [{ leadId: 'a', phone: '+1' }, { leadId: 'b' }, { leadId: 'c', phone: '+3' }].map((json) => ({ json }));";
/** Templates of people whose part of the workflow is another, or goes wrong: the template, what it is called, the node, its code. */
const VARIANTS = [
  ['chat-bot', 'broken', 'Answer by rules', FAILING],
  ['chat-bot', 'agent', 'Answer by rules', AGENT],
  ['task-agent', 'agent', 'Answer by rules', AGENT],
  ['chat-operator-handoff', 'broken', 'Answer by rules', FAILING],
  ['task-agent', 'broken', 'Answer by rules', FAILING],
  ['session-respond', 'noleads', 'Leads of the day', 'return [];'],
  ['session-claims', 'noleads', 'Leads of the day', 'return [];'],
  ['session-respond', 'nophone', 'Leads of the day', NO_PHONE],
];

const [stage] = process.argv.slice(2);
const directory = process.env.N8N_DIRECTORY;
const log = `${here}../../target/n8n/${stage}.log`;
mkdirSync(`${here}../../target/n8n`, { recursive: true });
rmSync(log, { force: true });

const n8n = new N8n({ directory, ports: process.env.N8N_PORTS.split(','), log });
const say = (text) => process.stderr.write(`· ${text}\n`);
let tests;
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => { tests?.kill(signal); n8n.stop().finally(() => process.exit(130)); });

function workflows() {
  const settings = {
    secondsBetweenCalls: PAUSE_S,
    sessionServiceUrl: stack.sessionUrl,
    chatServiceUrl: stack.chatUrl,
    retellServiceUrl: stack.retellUrl,
    dispatchServiceUrl: process.env.DISPATCH_URL,
  };
  const all = allTemplates();
  const ready = Object.fromEntries(Object.entries(all).map(([name, template]) => [name, withSettings(template, settings)]));
  const variants = VARIANTS.map(([name, ...change]) => variant(ready[name], ...change));
  return [...Object.values(ready), ...variants, ...ownWorkflows()];
}

async function load() {
  const write = (name, value) => {
    const file = `${n8n.home}/${name}`;
    writeFileSync(file, JSON.stringify(value), { mode: 0o600 });
    return file;
  };
  const values = {
    SwitchhookIn0001: { value: process.env.N8N_OUTBOUND_SECRET },
    SwitchhookOut001: { value: stack.webhookSecret },
    SwitchhookRetell: { hmacSecret: process.env.RETELL_API_KEY },
  };
  await n8n.run('import:credentials', `--input=${write('credentials.json', credentials(values))}`);
  await n8n.run('import:workflow', `--input=${write('workflows.json', workflows())}`);
}

try {
  say('importing credentials and workflows into a fresh n8n');
  await load();
  say('starting n8n');
  await n8n.start();
  const editor = await Editor.ofOwner({ url: n8n.url, directory, email: 'owner@example.com', password: PASSWORD });
  say('publishing the workflows');
  for (const { id } of workflows().filter((one) => one.id !== LATE)) await editor.publish(id);
  const files = readdirSync(`${here}${stage}`).filter((name) => name.endsWith('.test.js')).map((name) => `${here}${stage}/${name}`);
  tests = spawn(process.execPath, ['--test', `--test-concurrency=${FILES_AT_ONCE}`, ...files], {
    stdio: 'inherit',
    env: { ...process.env, N8N_URL: n8n.url, N8N_COOKIE: editor.cookie },
  });
  const [code] = await once(tests, 'exit');
  process.exitCode = code ?? 1;
  if (process.exitCode !== 0) say(`the last lines of n8n:\n${n8n.tail()}`);
} finally {
  await n8n.stop();
}
