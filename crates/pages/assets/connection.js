import { createStore } from './store.js';

/**
 * How live this page is: `{state, since}` as the stream reports it, or null for a page without a stream.
 * The page's stream writes it, the frame shows it.
 */
export const connection = createStore(null);
