// What a person does in n8n's editor, by the same requests: sign in, publish, look at executions.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { eventually } from '../../browser/support/wait.js';

const WITHIN_MS = 60_000;
/** Two requests of a workflow that fail may take twenty seconds each. */
const RUN_MS = 120_000;
const NEWEST = 50;

export class Editor {
  #parse;

  /** `cookie`: of somebody who has signed in. */
  constructor({ url, cookie, directory }) {
    this.url = url;
    this.cookie = cookie;
    // n8n keeps the data of executions in this form.
    this.#parse = createRequire(`${directory}/node_modules/n8n/package.json`)('flatted').parse;
  }

  /** Makes the owner of a fresh n8n, and signs in. */
  static async ofOwner({ url, directory, email, password }) {
    const response = await fetch(`${url}/rest/owner/setup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email, password, firstName: 'Nina', lastName: 'Owner' }),
    });
    assert.ok(response.ok, `n8n made no owner: ${await response.text()}`);
    const [cookie] = response.headers.getSetCookie().map((line) => line.split(';')[0]);
    return new Editor({ url, cookie, directory });
  }

  async call(method, path, body) {
    const response = await fetch(`${this.url}/rest${path}`, {
      method,
      headers: { 'content-type': 'application/json', cookie: this.cookie },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
    return JSON.parse(text).data;
  }

  /** Publishes a workflow, and waits until its webhooks answer. */
  async publish(id) {
    const { versionId, nodes } = await this.call('GET', `/workflows/${id}`);
    await this.call('POST', `/workflows/${id}/activate`, { versionId });
    for (const path of webhooksOf(nodes)) {
      await eventually(`the webhook ${path} answers`, () => this.#isRegistered(path), WITHIN_MS);
    }
  }

  /** A method that the webhook does not have starts nothing, and says whether the path is known. */
  async #isRegistered(path) {
    const response = await fetch(`${this.url}/webhook/${path}`, { method: 'PUT' });
    return (await response.text()).includes('Did you mean');
  }

  /** The executions of a workflow that its trigger began with such an item, oldest first: `{status, outputs, ran}`. */
  async runs(workflowId, isWanted) {
    const filter = encodeURIComponent(JSON.stringify({ workflowId }));
    const { results } = await this.call('GET', `/executions?filter=${filter}&limit=${NEWEST}`);
    // n8n asks for those under way and for the others at the same time: one that ends just then is in both.
    const ids = [...new Set(results.map(({ id }) => Number(id)))].sort((one, other) => one - other);
    const all = [];
    for (const id of ids) all.push(await this.#run(id));
    return all.filter(({ trigger }) => trigger !== undefined && isWanted(trigger.body ?? trigger));
  }

  /** The only execution that a request began, once it is over. */
  async runOf(workflowId, isWanted) {
    const over = async () => {
      const runs = await this.runs(workflowId, isWanted);
      return runs.length > 0 && runs.every(({ status }) => !['running', 'new', 'waiting'].includes(status)) && runs;
    };
    const runs = await eventually(`a run of ${workflowId} is over`, over, RUN_MS);
    assert.equal(runs.length, 1, `${workflowId} ran as ${runs.map(({ id }) => id)}`);
    return runs[0];
  }

  async #run(id) {
    const { status, data, workflowData } = await this.call('GET', `/executions/${id}`);
    const done = data ? this.#parse(data).resultData?.runData ?? {} : {};
    const outputs = Object.fromEntries(Object.entries(done).map(([node, times]) => [node, times.flatMap(itemsOf)]));
    const triggers = workflowData.nodes.filter(({ type }) => /webhook$|chatTrigger$/i.test(type)).map(({ name }) => name);
    const trigger = triggers.map((name) => outputs[name]?.[0]).find(Boolean);
    return { id, status, outputs, ran: (node) => done[node]?.length ?? 0, trigger };
  }
}

/** What a node put out in one of its turns, over all its outputs. */
function itemsOf(turn) {
  return (turn.data?.main ?? []).flatMap((items) => items ?? []).map(({ json }) => json);
}

function webhooksOf(nodes) {
  return nodes.flatMap(({ type, parameters, webhookId }) => {
    if (type === 'n8n-nodes-base.webhook') return [parameters.path];
    return type.endsWith('.chatTrigger') ? [`${webhookId}/chat`] : [];
  });
}
