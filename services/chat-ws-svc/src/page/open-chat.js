// The chat that is open: who has it, what was said, and what an operator can do.
import { html, useEffect } from './shared/html.js';
import { useShortcut } from './shared/keyboard.js';
import { useStore } from './shared/store.js';
import { exact, Time } from './shared/time.js';
import { ActionButton } from './shared/parts/button.js';
import { AskButton } from './shared/parts/ask-button.js';
import { Badge } from './shared/parts/badge.js';
import { CurlBlock } from './shared/parts/code.js';
import { ask } from './shared/parts/confirm.js';
import { CopyButton } from './shared/parts/copy.js';
import { Fact } from './shared/parts/fact.js';
import { LoadError } from './shared/parts/load-error.js';
import { Loading } from './shared/parts/loading.js';
import { Newest } from './shared/parts/newest.js';
import { Notice } from './shared/parts/notice.js';
import { OutsideLink } from './shared/parts/outside-link.js';
import { toast } from './shared/parts/toast.js';
import { paths } from './chats.js';
import { Messages } from './messages.js';
import { Reply } from './reply.js';
import { see } from './seen.js';
import { bodyOf } from './talk.js';
import { isMine, nameOf, shortId, standingOf } from './words.js';

const ERASE = {
  title: 'Delete this chat?',
  text: 'All that was said in it is deleted for the visitor too, and he is disconnected. This cannot be undone.',
  confirm: 'Delete the chat',
};

/** One chat, `talk`, as long as it is shown. */
export function OpenChat({ page, talk, onClose }) {
  const state = useStore(talk.store);
  const { session, messages, unsent, gone } = state;
  useShortcut('Escape', 'Close the chat', onClose);
  useSeen(talk.id, messages);
  if (gone) return html`<${Gone} talk=${talk} onClose=${onClose} />`;
  const own = unsent.length + (messages ?? []).filter(({ from }) => from === 'operator').length;
  return html`<section class="card open-chat" aria-labelledby="open-chat">
    <${Head} talk=${talk} session=${session} user=${page.user} onClose=${onClose} />
    ${state.error !== null && html`<${LoadError} title="The chat could not be loaded" error=${state.error} onRetry=${() => talk.load()} />`}
    <${Newest} label="Conversation" news=${messages?.length ?? 0} own=${own} more="New message below">
      ${messages === null && state.error === null && html`<${Loading} class="block" />`}
      ${messages?.length === 0 && unsent.length === 0 && html`<p class="muted">Nothing was said yet.</p>`}
      <${Messages} messages=${messages ?? []} unsent=${unsent} talk=${talk} />
      <p class="writing" role="status">${state.typing && 'The visitor is writing …'}</p>
    <//>
    <${ReadOut} messages=${messages} />
    ${session !== null && html`<${Reply} page=${page} talk=${talk} session=${session} draft=${state.draft} />`}
    <${About} talk=${talk} session=${session} draft=${state.draft} />
  </section>`;
}

function Gone({ talk, onClose }) {
  return html`<section class="card open-chat" aria-label="Chat">
    <${Notice} title="This chat is not there"
      actions=${html`<button type="button" class="button small" onClick=${onClose}>All chats</button>`}>
      <p>${shortId(talk.id)} was deleted, is too old, or belongs to a channel that you do not see.</p>
    <//>
  </section>`;
}

function Head({ talk, session, user, onClose }) {
  return html`<div class="card-head">
    <button type="button" class="button small quiet back" onClick=${onClose}>All chats</button>
    <h2 id="open-chat">Chat <code>${shortId(talk.id)}</code></h2>
    ${session !== null && html`<${Standing} session=${session} user=${user} />`}
    <${CopyButton} text=${talk.id} label="Copy sessionId" />
    ${session !== null && html`<${Turns} talk=${talk} session=${session} user=${user} />`}
  </div>`;
}

function Standing({ session, user }) {
  const { word, tone, icon } = standingOf(session, user);
  return html`<span class="standing" role="status">
    <${Badge} tone=${tone} icon=${icon}>${word}<//>
    ${session.flagged && html` <${Badge} tone="bad" icon="warning">Flagged: the bot did not answer<//>`}
    ${!session.connected && html` <${Badge} icon="stopped">Offline<//>`}
  </span>`;
}

/** Taking the chat over, and handing it back. */
function Turns({ talk, session, user }) {
  const take = () => said(() => fromOther((force) => talk.takeOver(user, force), 'Take over'), 'You have the chat. The bot is silent.');
  const release = () => said(() => fromOther((force) => talk.release(force), 'Hand back'), 'The bot answers again, from the next message on.');
  const mine = isMine(session, user);
  useShortcut('t', 'Take the chat over', mine ? null : take);
  useShortcut('b', 'Hand the chat back to the bot', session.mode === 'operator' ? release : null);
  return html`
    ${!mine && html`<${ActionButton} tone="small primary" onAct=${take} busyText="Taking over …">Take over<//>`}
    ${session.mode === 'operator' && html`<${ActionButton} tone="small" onAct=${release} busyText="Handing back …">Hand back<//>`}`;
}

/** Does it, after a question where another operator has the chat; resolves to whether it came to it. */
async function fromOther(act, confirm) {
  try {
    await act(false);
    return true;
  } catch (refusal) {
    if (refusal.code !== 'taken_over') throw refusal;
    const who = refusal.body.operator ?? 'Somebody else';
    const question = { title: 'Take it from somebody else?', text: `${who} has this chat.`, confirm, tone: 'primary' };
    if (!(await ask(question))) return false;
    await act(true);
    return true;
  }
}

/** Does it and says what came of it. */
async function said(act, words) {
  try {
    if ((await act()) !== false) toast(words, 'good');
  } catch (refusal) {
    toast(refusal.message, 'bad');
  }
}

/** What is known of the visitor, and the same with curl. */
function About({ talk, session, draft }) {
  const erase = () => said(() => talk.erase(), 'The chat is deleted.');
  const text = draft.trim() === '' ? 'Hello' : draft;
  const page = session?.meta.referer ?? session?.meta.origin ?? null;
  return html`<details class="more"><summary>About this chat, and the same with curl</summary>
    ${session !== null && html`<dl class="facts stacked">
      <${Fact} name="sessionId"><code class="id">${session.sessionId}</code><//>
      <${Fact} name="Channel">${session.channel}<//>
      <${Fact} name="Began">${exact(session.createdAt)}<//>
      <${Fact} name="Last change"><${Time} at=${session.updatedAt} /><//>
      ${page !== null && html`<${Fact} name="Page"><${OutsideLink} address=${page}>${page}<//><//>`}
      ${session.meta.ua !== null && html`<${Fact} name="Browser">${session.meta.ua}<//>`}
    </dl>`}
    <${CurlBlock} label="Send a message" method="POST" path=${paths.send} body=${bodyOf(talk.id, text, '')} />
    <${CurlBlock} label="Take over" method="POST" path=${paths.takeover(talk.id)} body=${{}} />
    <${CurlBlock} label="Hand back" method="POST" path=${paths.release(talk.id)} body=${{}} />
    <${CurlBlock} label="Read what was said" path=${paths.messages(talk.id)} />
    <p class="erase"><${AskButton} question=${ERASE} onAct=${erase} busyText="Deleting …" tone="small danger">Delete this chat<//></p>
  </details>`;
}

/** Reads out what the visitor says. */
function ReadOut({ messages }) {
  const last = messages?.findLast(({ from }) => from === 'user');
  return html`<p class="visually-hidden" aria-live="polite">${last && `${nameOf(last)}: ${last.text}`}</p>`;
}

/** What is in front of an operator's eyes is seen. */
function useSeen(id, messages) {
  const newest = messages?.at(-1)?.timestamp;
  useEffect(() => {
    const look = () => document.visibilityState === 'visible' && see(id, newest);
    look();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, [id, newest]);
}
