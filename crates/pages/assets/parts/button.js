import { html, useEffect, useRef, useState } from '../html.js';

/**
 * A button that shows that it acts and cannot be pressed twice. `onAct` returns a promise; what came of it is for
 * `onAct` to say.
 */
export function ActionButton({ onAct, busyText, tone = '', disabled = false, type = 'button', children, ...rest }) {
  const [busy, act] = useBusy(onAct);
  return html`<button ...${rest} type=${type} class="button ${tone}" disabled=${disabled || busy} aria-busy=${busy} onClick=${act}>
    ${busy ? busyText : children}
  </button>`;
}

/** `[busy, run]`: `run` does nothing while a run is under way. */
export function useBusy(action) {
  const [busy, setBusy] = useState(false);
  const running = useRef(false);
  const mounted = useRef(true);
  useEffect(() => () => {
    mounted.current = false;
  }, []);
  const run = async (...given) => {
    // State is seen only after the next drawing; a double click is faster than that.
    if (running.current) return;
    running.current = true;
    setBusy(true);
    try {
      await action(...given);
    } finally {
      running.current = false;
      if (mounted.current) setBusy(false);
    }
  };
  return [busy, run];
}
