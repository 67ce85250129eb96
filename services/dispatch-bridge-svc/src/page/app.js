// The page of the dispatches: the form that sends one, the list, the details. `./shared/` is where the service serves the look
// that all pages share.
import { html } from './shared/html.js';
import { useParameter } from './shared/address.js';
import { boot } from './shared/boot.js';
import { Notice } from './shared/parts/notice.js';
import { Detail } from './detail.js';
import { useDispatches } from './dispatches.js';
import { useFilters } from './filters.js';
import { DispatchList } from './list.js';
import { SendCard, SendSkeleton } from './send.js';

const TITLE = 'Dispatches';
const ROLE = 'operator';

function Dispatches({ page: { settings } }) {
  const filters = useFilters();
  const [openKey, setOpenKey] = useParameter('dispatch', '');
  const dispatches = useDispatches(filters, openKey);
  return html`
    <${SendCard} dispatches=${dispatches} settings=${settings} onOpen=${setOpenKey} />
    <${DispatchList} dispatches=${dispatches} filters=${filters} openKey=${openKey} onOpen=${setOpenKey} />
    ${openKey !== '' && html`<${Detail} id=${openKey} dispatches=${dispatches} onClose=${() => setOpenKey('')} />`}`;
}

function Content({ page }) {
  if (page.user.roles.includes(ROLE)) return html`<${Dispatches} page=${page} />`;
  return html`<${Notice} tone="warn" title="This page is for operators">
    <p>You are signed in, but your token does not have the role <code>${ROLE}</code>. Ask whoever gives out the tokens, or sign out
      and sign in as somebody else.</p>
  <//>`;
}

boot({ title: TITLE, Content, skeleton: html`<${SendSkeleton} />` });
