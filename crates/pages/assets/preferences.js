// What one person prefers in this browser. Storage may be forbidden; then a choice lasts until the page is left.
const PREFIX = 'switchhook.';

/** The remembered choice, or null. */
export function recall(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

/** Remembers a choice; null forgets it. */
export function remember(name, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + name);
    else localStorage.setItem(PREFIX + name, value);
  } catch {
    // The choice still holds on this page.
  }
}
