// What was said in a chat, and what is not sent yet.
import { html } from './shared/html.js';
import { asSentence } from './shared/text.js';
import { Badge } from './shared/parts/badge.js';
import { Transcript } from './shared/parts/transcript.js';
import { nameOf } from './words.js';

const SIDES = { user: 'left', bot: 'right', operator: 'right' };

/** `unsent`: replies that are on their way, or did not get through. */
export function Messages({ messages, unsent, talk }) {
  const turns = [
    ...messages.map((message) => ({
      key: message.messageId, speaker: message, text: message.text, at: message.timestamp, note: noteOf(message),
    })),
    ...unsent.map((message) => ({
      key: message.key, speaker: { from: 'operator', name: message.name || 'You' }, text: message.text, at: message.at,
      note: html`<${OnItsWay} message=${message} talk=${talk} />`,
    })),
  ];
  return html`<${Transcript} label="Messages" turns=${turns}
    speakerOf=${(message) => ({ name: nameOf(message), side: SIDES[message.from] ?? 'middle' })} />`;
}

function noteOf({ audience, undelivered }) {
  if (audience === 'operators') return html`<${Badge} icon="info">Only operators see this: the bot said it after the takeover<//>`;
  return undelivered && html`<${Badge} icon="waiting">The visitor is not connected: he sees it when he comes back<//>`;
}

function OnItsWay({ message, talk }) {
  const { sending, problem } = message;
  if (sending) return html`<${Badge} icon="waiting">Sending<//>`;
  return html`<${Badge} tone="bad" icon="failed">Not sent<//>
    <p role="alert">${asSentence(problem.message)}</p>
    <div class="turn-actions">
      <button type="button" class="button small" onClick=${() => talk.retry(message)}>Try again</button>
      <button type="button" class="button small" onClick=${() => talk.takeBack(message)}>Edit</button>
    </div>`;
}
