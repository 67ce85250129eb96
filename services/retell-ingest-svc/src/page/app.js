// The page of the calls: puts agent, figures, list and details together. `./shared/` is where the service serves the look
// that all pages share.
import { html } from './shared/html.js';
import { useParameter } from './shared/address.js';
import { boot } from './shared/boot.js';
import { AgentCard, AgentSkeleton } from './agent.js';
import { useCalls } from './calls.js';
import { Detail } from './detail.js';
import { Figures, FiguresSkeleton } from './figures.js';
import { useFilters } from './filters.js';
import { CallList } from './list.js';

const TITLE = 'Calls';

function Page({ page }) {
  const filters = useFilters();
  const [openId, setOpenId] = useParameter('call', '');
  const calls = useCalls(filters, openId);
  return html`
    <${AgentCard} calls=${calls} page=${page} />
    <${Figures} changes=${calls.changes} dayTimezone=${page.settings.dayTimezone} />
    <${CallList} calls=${calls} filters=${filters} openId=${openId} onOpen=${setOpenId} />
    ${openId !== '' && html`<${Detail} id=${openId} calls=${calls} onClose=${() => setOpenId('')} />`}`;
}

const skeleton = html`<${AgentSkeleton} /><${FiguresSkeleton} />`;

boot({ title: TITLE, Content: Page, skeleton });
