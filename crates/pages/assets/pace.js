import { useEffect, useMemo, useRef, useState } from './html.js';

/**
 * Does work as often as it is asked for, but never twice at a time nor sooner than `everyMs` after the last time: what is
 * asked for meanwhile is done once, afterwards. Returns how to ask.
 */
export function usePaced(work, everyMs) {
  const latest = useRef(work);
  latest.current = work;
  const pace = useMemo(() => paced(() => latest.current(), everyMs), [everyMs]);
  useEffect(() => pace.stop, [pace]);
  return pace.ask;
}

/** The same outside of components: `{ask, stop}`. */
export function paced(work, everyMs) {
  let [resting, again, stopped] = [false, false, false];
  let timer = 0;
  const run = async () => {
    [resting, again] = [true, false];
    await work();
    if (stopped) return;
    timer = setTimeout(() => {
      resting = false;
      if (again) run();
    }, everyMs);
  };
  return {
    ask() {
      if (resting) again = true;
      else if (!stopped) run();
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** The value once it has stayed the same for `ms`: what is typed is looked for when the typing pauses. */
export function useSettled(value, ms) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    if (settled === value) return undefined;
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, settled, ms]);
  return settled;
}
