// Brings a page up: redeems a sign-in link, asks who is looking, and shows the service's own part inside the frame, or
// how to sign in, or why nothing can be shown.
import { html, render, useCallback, useEffect, useState } from './html.js';
import { onUnauthorized } from './api.js';
import { Frame } from './frame.js';
import { loadPage, redeemSignInLink, signOut } from './sign-in.js';
import { SignedOut } from './signed-out.js';
import { LoadError } from './parts/load-error.js';
import { toast } from './parts/toast.js';

/**
 * Puts a page into the element `app`. `Content` gets `page`, what `page.json` said, with a user in it; until then `skeleton`
 * stands in its place, and `title` in that of the installation's own, or for good where the page has its `ownTitle`.
 */
export function boot({ title, ownTitle = false, Content, skeleton }) {
  const root = document.getElementById('app');
  root.replaceChildren();
  render(html`<${Root} title=${title} ownTitle=${ownTitle} Content=${Content} skeleton=${skeleton} />`, root);
}

// Until `page.json` is there the frame has no entries, so that nothing jumps when they come.
const BLANK = { service: '', version: '', current: '', pages: {}, user: null, retentionDays: 0 };

function Root({ title, ownTitle, Content, skeleton }) {
  const [{ page, problem, failure }, setState] = useState({ page: null, problem: null, failure: null });
  const look = useCallback(async () => {
    let refusal = null;
    try {
      await redeemSignInLink();
    } catch (error) {
      refusal = error;
    }
    try {
      const loaded = await loadPage();
      const page = ownTitle ? { ...loaded, title } : loaded;
      setState({ page, problem: refusal, failure: null });
      if (refusal !== null && page.user !== null) toast(refusal.message, 'bad');
    } catch (error) {
      setState((before) => ({ ...before, failure: error }));
    }
  }, []);
  useEffect(() => {
    look();
    const lookAtLink = () => location.hash.startsWith('#token=') && look();
    addEventListener('hashchange', lookAtLink);
    const forget = onUnauthorized(look);
    return () => {
      removeEventListener('hashchange', lookAtLink);
      forget();
    };
  }, [look]);
  const leave = async () => {
    try {
      await signOut();
      await look();
    } catch (error) {
      toast(error.message, 'bad');
    }
  };
  return html`<${Frame} page=${page ?? { ...BLANK, title }} onSignOut=${leave}>
    ${content({ page, problem, failure, look, Content, skeleton })}
  <//>`;
}

function content({ page, problem, failure, look, Content, skeleton }) {
  if (page === null && failure === null) return skeleton;
  if (page === null) {
    return html`<${LoadError} title="This page could not be loaded" error=${failure} onRetry=${look} />`;
  }
  if (page.user === null) return html`<${SignedOut} page=${page} problem=${problem} onSignedIn=${look} />`;
  // Another user is another page: nothing of the one before may stay.
  return html`<${Content} key=${page.user.id} page=${page} />`;
}
