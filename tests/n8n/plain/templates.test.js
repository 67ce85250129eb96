// What every template promises: it is up to date with the pinned n8n, guarded, explained, and no branch of it ends in nothing.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fromSwitchhook, n8nUrl, post } from '../support/setting.js';
import { allTemplates, credentials } from '../support/workflows.js';

const templates = Object.entries(allTemplates());
const isNote = ({ type }) => type.endsWith('.stickyNote');
const isWebhook = ({ type }) => type === 'n8n-nodes-base.webhook';
const modules = `${process.env.N8N_DIRECTORY}/node_modules/`;

/** The newest version of every node of the pinned n8n. */
const newest = (() => {
  const versions = {};
  for (const one of JSON.parse(readFileSync(`${modules}n8n-nodes-base/dist/types/nodes.json`, 'utf8'))) {
    const type = one.name.includes('.') ? one.name : `n8n-nodes-base.${one.name}`;
    versions[type] = Math.max(versions[type] ?? 0, ...[one.version].flat());
  }
  return versions;
})();

for (const [name, template] of templates) {
  test(`${name}: nodes have the newest version of the pinned n8n`, () => {
    const old = template.nodes.filter(({ type, typeVersion }) => typeVersion !== newest[type]);
    assert.deepEqual(old.map(({ name: node, typeVersion, type }) => [node, typeVersion, newest[type]]), []);
  });

  test(`${name}: every node is reached, and every error has somewhere to go`, () => {
    const reached = new Set(Object.values(template.connections).flatMap(({ main }) => main.flat().map(({ node }) => node)));
    const lost = template.nodes.filter((node) => !isNote(node) && !isWebhook(node) && !reached.has(node.name));
    assert.deepEqual(lost.map((node) => node.name), []);
    const requests = template.nodes.filter(({ type }) => type.endsWith('.httpRequest'));
    for (const node of requests) {
      assert.equal(node.retryOnFail, true, `${node.name} tries once only`);
      assert.ok(node.onError, `${node.name} stops the workflow`);
    }
    for (const node of template.nodes.filter(({ onError }) => onError === 'continueErrorOutput')) {
      assert.ok(template.connections[node.name]?.main[1]?.length > 0, `the error of ${node.name} goes nowhere`);
    }
  });

  test(`${name}: credentials are those of credentials.example.json, and nothing secret is inside`, () => {
    const known = Object.fromEntries(credentials({}).map(({ id, name: title, type }) => [id, [title, type]]));
    const used = template.nodes.flatMap(({ credentials: own = {} }) => Object.entries(own));
    for (const [type, { id, name: title }] of used) assert.deepEqual(known[id], [title, type]);
    for (const node of template.nodes.filter(({ type }) => type.endsWith('.httpRequest'))) {
      assert.equal(node.credentials.httpHeaderAuth.name, 'n8n to Switchhook', node.name);
    }
  });

  test(`${name}: a note says what to do, and names every credential and setting`, () => {
    const [{ parameters: { content } }] = template.nodes.filter(isNote);
    for (const { name: title } of template.nodes.flatMap(({ credentials: own = {} }) => Object.values(own))) {
      assert.ok(content.includes(`**${title}**`), `${title} is not explained`);
    }
    if (template.nodes.some((node) => node.name === 'Settings')) assert.ok(content.includes('*Settings*'));
    assert.ok(content.includes('Publish'), 'it does not say that the workflow must be published');
  });
}

const guarded = templates.flatMap(([, { nodes }]) => nodes.filter((node) => isWebhook(node) && node.parameters.path !== 'retell'));

for (const { name, parameters: { path } } of guarded) {
  test(`nobody reaches "${name}" (${path}) without the right secret`, async () => {
    for (const headers of [{}, { 'x-n8n-webhook-secret': `${fromSwitchhook['x-n8n-webhook-secret']}x` }]) {
      assert.equal((await post(`${n8nUrl}/webhook/${path}`, { sessionId: 'nobody' }, headers)).status, 403);
    }
  });
}
