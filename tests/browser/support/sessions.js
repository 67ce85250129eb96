// The API of the session service, as a user and as n8n see it.
import assert from 'node:assert/strict';
import { stack } from './stack.js';
import { eventually } from './wait.js';

const api = (path) => `${stack.sessionUrl}/api/ai-session${path}`;

/** The API in the name of one person. */
export function sessionsOf(person) {
  const headers = { authorization: `Bearer ${person.token}`, 'content-type': 'application/json' };
  const call = async (method, path, body) => {
    const response = await fetch(api(path), { method, headers, body: body && JSON.stringify(body) });
    return { status: response.status, body: await response.json() };
  };
  const status = async () => (await call('GET', '/status')).body;
  return {
    call,
    status,
    /** Starts a session and returns it. */
    async start(dailyCallLimit) {
      const { status: code, body } = await call('POST', '/start', { dailyCallLimit });
      assert.equal(code, 201, JSON.stringify(body));
      return body.session;
    },
    async stop() {
      const { status: code, body } = await call('POST', '/stop');
      assert.equal(code, 200, JSON.stringify(body));
      return body.session;
    },
    /** Waits until the latest session's delivery is in this state; returns the session. */
    async delivery(state) {
      const seen = await eventually(`delivery is ${state}`, async () => {
        const { session } = await status();
        return session?.delivery.state === state && session;
      });
      return seen;
    },
  };
}

/** What n8n reports about a session: progress or the end. */
export function report(sessionId, payload) {
  return asMachine('/webhook', { sessionId, ...payload });
}

/** n8n's claim of the next call. */
export function claim(sessionId, callId) {
  return asMachine(`/${sessionId}/calls`, { callId });
}

async function asMachine(path, body) {
  const headers = { 'x-n8n-webhook-secret': stack.webhookSecret, 'content-type': 'application/json' };
  const response = await fetch(api(path), { method: 'POST', headers, body: JSON.stringify(body) });
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer;
}
