// Who is looking: redeems a sign-in link, reads `page.json`, signs out. What a sign-in link carries never stays in the
// address. Refuses to know what a token says: only the service reads it.
import { get, post } from './api.js';

/** The facts of the page: service, user, neighbours, settings. */
export function loadPage() {
  return get('page.json');
}

/** Hands a token to the service, which keeps it in a cookie that scripts cannot read. */
export function signInWith(token) {
  return post('sign-in', { token }, { quietly401: true });
}

/** Makes the browser forget the cookie. */
export function signOut() {
  return post('sign-out', {}, { quietly401: true });
}

/** Redeems the `#token=…` of a sign-in link, when the address has one. The rest of the address stays: links go deep. */
export async function redeemSignInLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get('token');
  if (token === null) return;
  try {
    await signInWith(token);
  } finally {
    history.replaceState(history.state, '', location.pathname + location.search);
  }
}
