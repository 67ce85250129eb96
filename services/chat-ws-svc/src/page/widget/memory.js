// What stays over page loads: whose chat this is, what was seen of it, what is not sent yet. Storage may be forbidden; then
// the chat lasts as long as the page.

class Memory {
  constructor(channel) {
    this.key = `switchhook.chat.${channel}`;
    this.kept = {};
  }

  /** `{sessionId, resumeToken, seen}`, each where known. It is the same for all tabs. */
  get chat() {
    return this.read(() => localStorage) ?? this.kept;
  }

  keep(changes) {
    this.kept = { ...this.chat, ...changes };
    this.write(() => localStorage, this.kept);
  }

  forget() {
    this.kept = {};
    this.write(() => localStorage, null);
  }

  /** What is not sent: `[{clientId, text}…]`, of this tab alone. */
  get unsent() {
    const kept = this.read(() => sessionStorage);
    return Array.isArray(kept) ? kept : [];
  }

  set unsent(messages) {
    this.write(() => sessionStorage, messages.length === 0 ? null : messages.map(({ clientId, text }) => ({ clientId, text })));
  }

  // Where storage is forbidden, even naming it throws.
  read(storage) {
    try {
      return JSON.parse(storage().getItem(this.key));
    } catch {
      return null;
    }
  }

  write(storage, value) {
    try {
      if (value === null) storage().removeItem(this.key);
      else storage().setItem(this.key, JSON.stringify(value));
    } catch {
      // It still holds on this page.
    }
  }
}
