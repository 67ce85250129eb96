// A box that scrolls and grows at its lower end, such as a conversation. It stays at the newest while the reader is there,
// and leaves him where he is when he has scrolled up. Refuses to know what is in it.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../html.js';

// Half a line: browsers round, and a reader who is this close means the end.
const CLOSE_PX = 12;

const isAtEnd = ({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight <= CLOSE_PX;

/**
 * `label`: what is in it. `news`: changes when something was added that the reader should know of. `own`: changes when the
 * reader added something himself, which always leads to the end. `more`: the words of the button that leads there.
 */
export function Newest({ label, news, own, more, children }) {
  const box = useRef(null);
  const inner = useRef(null);
  // Where the end was when the reader was last there; null while he is above it.
  const end = useRef(0);
  const [missed, setMissed] = useState(false);
  const toEnd = () => {
    // The observer may report once more when the box is gone.
    if (box.current === null) return;
    box.current.scrollTop = box.current.scrollHeight;
    end.current = box.current.scrollTop;
    setMissed(false);
  };
  // The event of a scroll comes a frame after it: who is above the last end has left it, heard of or not.
  const stays = () => end.current !== null && (box.current.scrollTop >= end.current - CLOSE_PX || isAtEnd(box.current));
  const scrolled = () => {
    end.current = isAtEnd(box.current) ? box.current.scrollTop : null;
    if (end.current !== null) setMissed(false);
  };
  useLayoutEffect(toEnd, [own]);
  useLayoutEffect(() => {
    if (stays()) toEnd();
    else setMissed(true);
  }, [news]);
  useEffect(() => {
    // The box and what is in it change their size for more reasons than news.
    const sized = new ResizeObserver(() => box.current !== null && stays() && toEnd());
    sized.observe(box.current);
    sized.observe(inner.current);
    return () => sized.disconnect();
  }, []);
  return html`<div class="newest">
    <div class="newest-box" role="region" aria-label=${label} tabindex="0" ref=${box} onScroll=${scrolled}>
      <div class="newest-inner" ref=${inner}>${children}</div>
    </div>
    ${missed && html`<button type="button" class="button small newest-more" onClick=${toEnd}>${more}</button>`}
  </div>`;
}
