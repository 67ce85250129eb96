// What the visitor sees and does: the bubble, the panel, the messages, the field. All text from outside is put in as text.

const NARROW = '(max-width: 480px)';
// Half a line: browsers round, and a reader who is this close means the end.
const CLOSE_PX = 12;
const READ_OUT_CHARS = 300;
const MOST_SHOWN_UNREAD = 9;

const ICONS = {
  chat: 'M4 5h16v11H9l-5 4z',
  close: 'm6 6 12 12M18 6 6 18',
  send: 'M4 12h15M13 6l6 6-6 6',
};

/** An element with attributes (`text` is its text, `on…` a listener) and children. */
function make(tag, { text, ...attributes } = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? '' : value);
  }
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}

function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', ICONS[name]);
  svg.append(path);
  return svg;
}

class View {
  constructor({ title, color, channel }) {
    this.title = title;
    this.rows = new Map();
    this.atEnd = true;
    this.host = make('switchhook-chat', { 'data-channel': channel });
    const root = this.host.attachShadow({ mode: 'open' });
    dress(root);
    root.append(this.build());
    if (color) paint(this.host, color);
    // The page around has shortcuts of its own, which must not hear what is typed here.
    for (const event of ['keydown', 'keyup', 'keypress']) root.addEventListener(event, (pressed) => pressed.stopPropagation());
    document.body.append(this.host);
  }

  /** Shows this chat from now on. */
  show(chat) {
    this.chat = chat;
    this.draw();
  }

  build() {
    this.badge = make('span', { class: 'count', hidden: true, 'aria-hidden': 'true' });
    this.launcher = make('button', {
      class: 'launcher', type: 'button', 'aria-expanded': 'false', 'aria-controls': 'panel', onclick: () => this.toggle(),
    }, icon('chat'), this.badge);
    this.announcer = make('p', { class: 'hidden', 'aria-live': 'polite' });
    return make('section', { 'aria-label': this.title }, this.buildPanel(), this.launcher, this.announcer);
  }

  buildPanel() {
    this.standing = make('p', { class: 'standing', role: 'status' });
    const close = make('button', { class: 'close', type: 'button', 'aria-label': 'Close chat', onclick: () => this.close() }, icon('close'));
    this.list = make('ol', { 'aria-label': 'Messages' });
    this.empty = make('p', { class: 'empty', text: WORDS.empty });
    this.writing = make('p', { class: 'writing', role: 'status' });
    this.log = make('div', { class: 'log', role: 'region', 'aria-label': 'Conversation', tabindex: '0', onscroll: () => this.scrolled() },
      this.empty, this.list, this.writing);
    this.newer = make('button', { class: 'newer', type: 'button', hidden: true, text: WORDS.newer, onclick: () => this.toEnd() });
    this.panel = make('dialog', {
      id: 'panel', class: 'panel', 'aria-labelledby': 'title',
      oncancel: (event) => {
        event.preventDefault();
        this.close();
      },
      onkeydown: (event) => event.key === 'Escape' && !event.isComposing && this.close(),
    }, make('header', {}, make('div', {}, make('h2', { id: 'title', text: this.title, tabindex: '-1' }), this.standing), close),
    this.log, this.newer, this.buildComposer());
    return this.panel;
  }

  buildComposer() {
    this.note = make('p', { id: 'note', class: 'note', 'aria-live': 'polite', text: WORDS.hint });
    this.field = make('textarea', {
      id: 'field', rows: '1', placeholder: 'Your message', 'aria-describedby': 'note', enterkeyhint: 'send',
      oninput: () => this.typed(),
      onkeydown: (event) => {
        // An Enter that ends the choice of a character (Chinese, Japanese) belongs to the keyboard.
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        this.send();
      },
    });
    this.button = make('button', { class: 'send', type: 'submit', 'aria-label': 'Send' }, icon('send'));
    const form = make('form', {
      class: 'composer', novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        this.send();
      },
    }, make('label', { class: 'hidden', for: 'field', text: 'Your message' }), this.field, this.button, this.note);
    return form;
  }

  get isOpen() {
    return this.panel.open;
  }

  toggle() {
    if (this.isOpen) this.close();
    else this.open();
  }

  open() {
    // Over the whole of a small screen nothing else can be reached; beside a page the page goes on.
    if (matchMedia(NARROW).matches) this.panel.showModal();
    else this.panel.show();
    this.chat.line.open();
    // A keyboard that comes up by itself would cover what there is to read.
    if (matchMedia('(pointer: fine)').matches) this.field.focus();
    else this.panel.querySelector('h2').focus();
    window.visualViewport?.addEventListener('resize', this.fit);
    window.visualViewport?.addEventListener('scroll', this.fit);
    this.fit();
    this.toEnd();
    this.draw();
  }

  close() {
    this.panel.close();
    window.visualViewport?.removeEventListener('resize', this.fit);
    window.visualViewport?.removeEventListener('scroll', this.fit);
    this.launcher.focus();
    this.draw();
  }

  /** A phone's keyboard covers the lower part of a page without making it smaller. */
  fit = () => {
    const narrow = matchMedia(NARROW).matches && window.visualViewport;
    this.panel.style.height = narrow ? `${window.visualViewport.height}px` : '';
    this.panel.style.top = narrow ? `${window.visualViewport.offsetTop}px` : '';
    if (this.atEnd) this.toEnd();
  };

  typed() {
    const room = roomLeft(this.field.value);
    this.note.textContent = room?.text ?? WORDS.hint;
    this.note.classList.toggle('bad', room?.tooLong === true);
    this.field.setAttribute('aria-invalid', room?.tooLong === true);
    this.button.disabled = room?.tooLong === true;
    this.grow();
    this.chat.tellTyping(this.field.value.trim() !== '');
  }

  grow() {
    this.field.style.height = '';
    this.field.style.height = `${this.field.scrollHeight + 2}px`;
  }

  send() {
    const text = this.field.value;
    if (text.trim() === '' || roomLeft(text)?.tooLong || this.chat.state === 'refused') return;
    if (this.chat.isFull) {
      this.note.textContent = WORDS.full;
      return;
    }
    this.write('');
    this.atEnd = true;
    this.chat.send(text);
  }

  write(text) {
    this.field.value = text;
    this.typed();
    this.field.focus();
  }

  /** Something new was said by somebody else. */
  said({ from, name, text }) {
    if (!this.isOpen) return;
    const characters = [...text];
    const beginning = characters.slice(0, READ_OUT_CHARS).join('');
    this.announcer.textContent = `${name || NAMES[from]}: ${beginning}${characters.length > READ_OUT_CHARS ? '…' : ''}`;
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.log;
    this.atEnd = scrollHeight - scrollTop - clientHeight <= CLOSE_PX;
    if (this.atEnd) this.newer.hidden = true;
  }

  toEnd() {
    this.log.scrollTop = this.log.scrollHeight;
    this.atEnd = true;
    this.newer.hidden = true;
  }

  /** Draws once for all that changes in one go. */
  draw() {
    if (this.drawing) return;
    this.drawing = true;
    queueMicrotask(() => {
      this.drawing = false;
      this.drawNow();
    });
  }

  drawNow() {
    const { chat } = this;
    if (this.isOpen && document.visibilityState === 'visible') chat.see();
    const more = this.drawMessages(entriesOf(chat));
    const who = chat.typing;
    this.writing.textContent = who && chat.streams.size === 0 ? `${NAMES[who] ?? NAMES.operator} is writing` : '';
    this.empty.hidden = this.rows.size > 0;
    this.standing.textContent = WORDS[chat.state] ?? WORDS[chat.mode] ?? '';
    this.standing.classList.toggle('off', chat.state === 'waiting' || chat.state === 'refused');
    this.field.disabled = chat.state === 'refused';
    if (this.atEnd) this.toEnd();
    else if (more) this.newer.hidden = false;
    this.drawLauncher(chat.unread);
  }

  drawLauncher(unread) {
    const count = this.isOpen ? 0 : unread;
    this.badge.hidden = count === 0;
    this.badge.textContent = count > MOST_SHOWN_UNREAD ? `${MOST_SHOWN_UNREAD}+` : count;
    const news = count === 0 ? '' : `, ${count} new ${count === 1 ? 'message' : 'messages'}`;
    this.launcher.setAttribute('aria-label', this.isOpen ? 'Close chat' : `Open chat: ${this.title}${news}`);
    this.launcher.setAttribute('aria-expanded', this.isOpen);
  }

  /** Brings the list to these entries and touches only what has changed; returns whether any were added. */
  drawMessages(entries) {
    const keys = new Set(entries.map(({ key }) => key));
    for (const [key, row] of this.rows) {
      if (keys.has(key)) continue;
      row.remove();
      this.rows.delete(key);
    }
    let more = false;
    entries.forEach((entry, index) => {
      const goesOn = goesOnFrom(entries[index - 1], entry);
      const state = JSON.stringify([entry, goesOn]);
      let row = this.rows.get(entry.key);
      if (!row) {
        row = make('li');
        this.rows.set(entry.key, row);
        more = true;
      }
      if (row.drawn !== state) {
        row.drawn = state;
        row.className = `turn ${entry.from}`;
        row.replaceChildren(...this.turn(entry, goesOn));
      }
      if (this.list.children[index] !== row) this.list.insertBefore(row, this.list.children[index] ?? null);
    });
    return more;
  }

  turn({ from, name, text, at, note, clientId, problem }, goesOn) {
    if (from === 'remark') return [make('p', { class: 'text', text })];
    const by = make('p', { class: goesOn ? 'hidden' : 'by' }, `${name || NAMES[from] || NAMES.operator}`);
    if (at) by.append(make('time', { datetime: at, text: ` · ${moment(at)}` }));
    by.append(make('span', { class: 'hidden', text: ': ' }));
    const parts = pieces(text).map((piece) => (piece.link
      ? make('a', { href: piece.link, target: '_blank', rel: 'noopener noreferrer nofollow', text: piece.text })
      : piece.text));
    const drawn = [by, make('p', { class: 'text', dir: 'auto' }, ...parts)];
    if (note) drawn.push(make('p', { class: problem ? 'state bad' : 'state', text: note }));
    if (problem) drawn.push(this.wayOut(clientId, problem));
    return drawn;
  }

  wayOut(clientId, { passing }) {
    const one = this.chat.pending.find((message) => message.clientId === clientId);
    const again = make('button', { type: 'button', text: WORDS.again, onclick: () => this.chat.retry(one) });
    const edit = make('button', {
      type: 'button', text: WORDS.edit,
      onclick: () => this.write([this.chat.takeBack(one), this.field.value].filter(Boolean).join('\n')),
    });
    return make('p', { class: 'actions' }, ...(passing ? [again, edit] : [edit]));
  }
}

/** All that is in the list, in its order. */
function entriesOf({ messages, streams, pending, state }) {
  const note = (problem) => (problem ? `${WORDS.unsent}: ${problem.text}` : state === 'live' ? WORDS.sending : WORDS.kept);
  return [
    ...messages.map(({ id, key, from, name, text, at }) => ({ key: key ?? id, from, name, text, at })),
    // One whose beginning was missed shows when it is whole.
    ...[...streams].filter(([, parts]) => parts[0] !== undefined).map(([id, parts]) => ({ key: id, from: 'bot', text: parts.join('') })),
    ...pending.map(({ clientId, text, problem }) => ({ key: clientId, from: 'user', text, clientId, problem, note: note(problem) })),
  ];
}

const PAUSE_MS = 5 * 60 * 1000;

/** Whether an entry goes on what the one before it began: then nobody needs to be named again. */
function goesOnFrom(before, { from, name, at }) {
  if (!before || before.from !== from || before.name !== name) return false;
  return !at || !before.at || new Date(at) - new Date(before.at) < PAUSE_MS;
}

/** Gives the widget its looks in a way that a page's policy against inline style does not forbid. */
function dress(root) {
  if ('adoptedStyleSheets' in root && 'replaceSync' in CSSStyleSheet.prototype) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
  } else root.append(make('style', { text: STYLE }));
}

/** Makes a colour the widget's own, with text on it that can be read. */
function paint(host, color) {
  if (!CSS.supports('color', color)) {
    console.warn(`Chat: data-color is no colour: ${color}`);
    return;
  }
  const canvas = make('canvas', { width: 1, height: 1 });
  const context = canvas.getContext('2d');
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  host.style.setProperty('--chat-accent', color);
  host.style.setProperty('--chat-accent-ink', inkOn([...context.getImageData(0, 0, 1, 1).data].slice(0, 3)));
}
