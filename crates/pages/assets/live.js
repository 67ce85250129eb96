import { useEffect, useRef } from './html.js';
import { reportUnauthorized } from './api.js';
import { connection } from './connection.js';
import { openStream } from './stream.js';

/**
 * Follows the stream at `path` while the component is shown, and lets the frame say how that goes. `handlers`: what to do
 * with the JSON of an event, by its name. `onReopen`: reads again what may have been missed in a gap.
 */
export function useLive(path, handlers, onReopen) {
  const latest = useRef(null);
  latest.current = { handlers, onReopen };
  useEffect(() => {
    const close = openStream(path, {
      onEvent: ({ event, data }) => latest.current.handlers[event]?.(JSON.parse(data)),
      onState: (state) => connection.set(state),
      onReopen: () => latest.current.onReopen(),
      onUnauthorized: reportUnauthorized,
    });
    return () => {
      close();
      connection.set(null);
    };
  }, [path]);
}
