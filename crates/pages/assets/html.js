// The one place that binds the templating library to the view library; everything else imports from here.
import { Fragment, h, render } from './vendor/preact.mjs';
import htm from './vendor/htm.mjs';

export { Fragment, render };
export {
  useCallback,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from './vendor/preact-hooks.mjs';

/** Tagged template for markup. Values are always text or attributes, never parsed as HTML. */
export const html = htm.bind(h);
