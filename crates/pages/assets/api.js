// Calls the service's API and turns whatever goes wrong into a sentence for a person.
// Refuses to know what the calls mean, or where the sentence is shown.
import { asSentence } from './text.js';
import { learnServerTime } from './time.js';

const TIMEOUT_MS = 20_000;
const unauthorizedListeners = new Set();

/** A call that did not succeed. `message` can be shown as it is. */
export class ApiError extends Error {
  constructor(message, { status = 0, code = 'unreachable', fields = {}, body = null } = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.fields = fields;
    this.body = body;
  }
}

/** Is told when the service no longer knows who is asking. Returns how to stop. */
export function onUnauthorized(listener) {
  unauthorizedListeners.add(listener);
  return () => unauthorizedListeners.delete(listener);
}

/** Says that a credential was refused somewhere outside `call`, for example by the live stream. */
export function reportUnauthorized() {
  for (const listener of [...unauthorizedListeners]) listener();
}

/** GETs JSON. */
export function get(path, options) {
  return call('GET', path, undefined, options);
}

/** POSTs JSON and reads the JSON that comes back. */
export function post(path, body = {}, options) {
  return call('POST', path, body, options);
}

/** DELETEs and reads the JSON that comes back. */
export function remove(path, body, options) {
  return call('DELETE', path, body, options);
}

async function call(method, path, body, { quietly401 = false, timeoutMs = TIMEOUT_MS } = {}) {
  const response = await send(method, path, body, timeoutMs);
  learnServerTime(response);
  const answer = await readJson(response);
  if (response.ok && answer !== null) return answer;
  if (response.status === 401 && !quietly401) reportUnauthorized();
  throw errorFrom(response, answer);
}

async function send(method, path, body, timeoutMs) {
  const request = { method, headers: { accept: 'application/json' }, signal: AbortSignal.timeout(timeoutMs) };
  if (body !== undefined) {
    request.headers['content-type'] = 'application/json';
    request.body = JSON.stringify(body);
  }
  try {
    return await fetch(path, request);
  } catch (cause) {
    throw new ApiError(
      cause.name === 'TimeoutError'
        ? `The service did not answer within ${timeoutMs / 1000} s. Try again in a moment.`
        : 'The service cannot be reached. Check the connection, then try again.',
    );
  }
}

async function readJson(response) {
  try {
    return await response.json();
  } catch {
    return null;
  }
}

/** The common error body as an error; something else in between (a proxy, say) still gets a sentence. */
function errorFrom(response, body) {
  const { status } = response;
  const known = { status, code: body?.code ?? 'unknown', fields: body?.fields ?? {}, body };
  if (typeof body?.error === 'string') return new ApiError(asSentence(body.error) + retryHint(response), known);
  if (response.ok) return new ApiError('The service gave an answer that this page cannot read. Reload the page.', known);
  return new ApiError(`The service answered with status ${status} and no reason.${retryHint(response)}`, known);
}

function retryHint(response) {
  const seconds = Number(response.headers.get('retry-after'));
  return seconds > 0 && [429, 503].includes(response.status) ? ` Try again in ${seconds} s.` : '';
}

/** A list's `next` is absolute, and behind a proxy may name another host: only its path and query are followed. */
export function pathOfNext(next) {
  if (!next) return null;
  const url = new URL(next, location.href);
  return url.pathname + url.search;
}
