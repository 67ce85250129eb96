// What a person sees who is not signed in: why, and how to get in. It goes on by itself once the cookie is there.
import { html, useEffect, useState } from './html.js';
import { signInWith } from './sign-in.js';
import { useBusy } from './parts/button.js';
import { Field } from './parts/field.js';
import { Notice } from './parts/notice.js';

/** `problem`: why a sign-in link did not work, or null. `onSignedIn`: looks again who is there. */
export function SignedOut({ page, problem, onSignedIn }) {
  // The person may sign in in another tab; on coming back here the page should just go on.
  useEffect(() => {
    const look = () => document.visibilityState === 'visible' && onSignedIn();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, [onSignedIn]);
  return html`<section class="card signed-out" aria-labelledby="signed-out-title">
    <h2 id="signed-out-title">You are not signed in</h2>
    ${problem !== null && html`<${Notice} tone="bad" title="The sign-in link did not work"><p>${problem.message}</p><//>`}
    ${page.signInUrl && html`<p>Sign in at your application, then come back to this page: it goes on where you left.</p>
      <p><a class="button primary" href=${page.signInUrl} target="_blank" rel="noopener">Sign in</a></p>`}
    ${page.devSignIn && html`<${DevelopmentSignIn} onSignedIn=${onSignedIn} />`}
    ${!page.signInUrl && !page.devSignIn && html`<p>Sign in at the application that this service belongs to. It sets the cookie
      <code>access_token</code> for this address; reload this page afterwards.</p>`}
  </section>`;
}

function DevelopmentSignIn({ onSignedIn }) {
  const [token, setToken] = useState('');
  const [error, setError] = useState(null);
  const [busy, submit] = useBusy(async (event) => {
    event.preventDefault();
    try {
      await signInWith(token.trim());
      await onSignedIn();
    } catch (refusal) {
      setError(refusal.message);
    }
  });
  return html`<p>This is a development setup. <code>make up</code> prints a sign-in link for each user: open one. Or paste a
      token (a JWT) here.</p>
    <form class="inline-form" onSubmit=${submit}>
      <${Field} label="Token" name="token" type="password" value=${token} error=${error}
        hint="It is kept in a cookie of this service, which scripts cannot read."
        onInput=${(event) => setToken(event.target.value)} />
      <button type="submit" class="button" disabled=${busy} aria-busy=${busy}>${busy ? 'Signing in …' : 'Sign in'}</button>
    </form>`;
}
