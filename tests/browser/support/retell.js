// The API of the calls' service as a user and as n8n see it, and Retell's stand-in.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { stack } from './stack.js';

const unique = () => randomUUID().replaceAll('-', '');

/** The id of an agent that nobody has yet. */
export const newAgent = () => `agent_${unique()}`;

/** The API in the name of one person. */
export function callsOf(person) {
  const headers = { authorization: `Bearer ${person.token}`, 'content-type': 'application/json' };
  const call = async (method, path, body) => {
    const response = await fetch(`${stack.retellUrl}/api/retell${path}`, { method, headers, body: body && JSON.stringify(body) });
    return { status: response.status, body: await response.json() };
  };
  const expect200 = async (...request) => {
    const { status, body } = await call(...request);
    assert.equal(status, 200, JSON.stringify(body));
    return body;
  };
  return {
    call,
    connect: (agentId) => expect200('POST', '/connect-agent', { agentId }),
    agent: async () => (await expect200('GET', '/agent-status')).data,
    list: async () => (await expect200('GET', '/calls')).items,
    read: async (callId) => (await expect200('GET', `/calls/${callId}`)).call,
  };
}

/** A call that is over and analysed, as Retell tells it, with some facts changed; `analysis` changes what was judged. */
export function analysedCall(agentId, { analysis = {}, ...facts } = {}) {
  const start = facts.start_timestamp ?? Date.now() - 300_000;
  return {
    call_id: `call_${unique()}`,
    agent_id: agentId,
    call_status: 'ended',
    direction: 'inbound',
    from_number: '+12137771234',
    to_number: '+12137771235',
    start_timestamp: start,
    end_timestamp: start + 200_000,
    duration_ms: 200_000,
    transcript: 'Agent: Hello.\nUser: I want my parcel.\n',
    transcript_object: [{ role: 'agent', content: 'Hello.' }, { role: 'user', content: 'I want my parcel.' }],
    disconnection_reason: 'user_hangup',
    recording_url: 'https://recordings.example/call.wav',
    call_cost: { combined_cost: 12.5 },
    ...facts,
    call_analysis: {
      call_summary: 'The caller asked for a parcel.', user_sentiment: 'Positive', call_successful: true, ...analysis,
    },
  };
}

/** n8n forwards an event about a call; returns the call. */
export async function forward(call, event = 'call_analyzed') {
  const response = await fetch(`${stack.retellUrl}/api/n8n/retell-webhook`, {
    method: 'POST',
    headers: { 'x-n8n-webhook-secret': stack.webhookSecret, 'content-type': 'application/json' },
    body: JSON.stringify({ event, call }),
  });
  assert.equal(response.status, 200, await response.text());
  return call;
}

/** Retell plays a call of this agent, by signed webhooks; returns its id. */
export async function retellPlays(agentId, wish = {}) {
  const answer = await tell('_call', { agent_id: agentId, ...wish });
  return answer.call_id ?? answer.chat_id;
}

/** Retell gives somebody an API key that sees this agent; returns the key. */
export async function apiKeyFor(agentId) {
  const key = `key_${unique()}`;
  await tell('_agents', { api_key: key, agents: [agentId] });
  return key;
}

async function tell(what, body) {
  const response = await fetch(`${stack.retellStandInUrl}/${what}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `the stand-in refused: ${text}`);
  return text === '' ? {} : JSON.parse(text);
}
