// From what was typed into the form to the request, and from a refusal back to its fields. Pure.

const OPTIONS = ['llm', 'stt', 'tts', 'cartesia_voice', 'cartesia_model', 'preemptive_generation'];
const TEXTS = ['destination', 'account_code', 'transfer_target', 'caller_id', 'caller_number', 'caller_name'];

/** A form that nobody has typed into. */
export const BLANK = {
  ...Object.fromEntries([...TEXTS, ...OPTIONS, 'metadata'].map((name) => [name, ''])),
  record_call: false,
};

/** `{body, errors}`: the body of `POST /dispatch`, and what is wrong with JSON that was typed, by the name of its field. */
export function requestOf(typed) {
  const errors = {};
  const json = (name) => {
    try {
      return JSON.parse(typed[name]);
    } catch (error) {
      errors[name] = `${name} is not JSON: ${error.message}`;
      return undefined;
    }
  };
  const given = (name) => typed[name].trim() !== '';
  const body = Object.fromEntries(TEXTS.filter(given).map((name) => [name, typed[name].trim()]));
  const options = OPTIONS.filter(given).map((name) => [name, name === 'tts' && isObject(typed.tts) ? json('tts') : typed[name].trim()]);
  if (options.length > 0) body.session_options = Object.fromEntries(options);
  if (typed.record_call) body.record_call = true;
  if (given('metadata')) body.metadata = json('metadata');
  return { body, errors };
}

function isObject(text) {
  return text.trim().startsWith('{');
}

/** The faults of a refusal by the form's fields, which are named like the API's, without the place that they stand in. */
export function faultsOf(fields) {
  const named = Object.entries(fields).map(([path, why]) => [path.replace(/^session_options\./, ''), why]);
  return Object.fromEntries(named.filter(([name]) => name in BLANK));
}

const LOOK_FIRST = 'If the call was made, it stands in the list below: look there before you send it again.';

/**
 * `{tone, title, text, hint, duplicateOf}`: why a dispatch was not made, or whether it was. `hint`: what to do about it, or null.
 * `duplicateOf`: the dispatch of a moment ago that is in the way, or null.
 */
export function refusalOf({ status, code, message, body }) {
  const told = { tone: 'bad', title: 'The dispatch was not made', text: message, hint: body?.hint ?? null, duplicateOf: null };
  if (code === 'duplicate_dial') {
    return { ...told, tone: 'warn', title: 'This number was dialled a moment ago', duplicateOf: body.dispatch_id ?? body.room };
  }
  if (code === 'upstream_timeout') return { ...told, tone: 'warn', title: 'LiveKit did not answer in time' };
  if (isCertain(status, code, body)) return told;
  // Without an answer the advice to try again would be a second call.
  const text = status === 0 ? "The service's answer did not arrive." : message;
  return { ...told, tone: 'warn', title: 'Nobody can tell whether the phone rings', text: `${text} ${LOOK_FIRST}` };
}

/** Whether the service knows that nothing was dialled. What a proxy says in its place proves nothing. */
function isCertain(status, code, body) {
  const said = (status >= 400 && status < 500 && code !== 'unknown') || ['livekit_error', 'livekit_unreachable'].includes(code);
  return said && body?.outcome !== 'unknown';
}
