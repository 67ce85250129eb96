// The AI Control Panel: puts control, chart, history and details together. `./shared/` is where the service serves the
// look that all pages share.
import { html, useEffect } from './shared/html.js';
import { useParameter } from './shared/address.js';
import { boot } from './shared/boot.js';
import { CallsPerDay } from './calls-per-day.js';
import { Control, ControlSkeleton } from './control.js';
import { Detail } from './detail.js';
import { History } from './history.js';
import { useSessions } from './sessions.js';

const TITLE = 'AI Control Panel';

function Panel({ page }) {
  const sessions = useSessions();
  const [openId, setOpenId] = useParameter('session', '');
  useTitle(sessions.status, page.title);
  return html`
    <${Control} sessions=${sessions} settings=${page.settings} />
    <${CallsPerDay} callsMadeToday=${sessions.status?.callsMadeToday} reloads=${sessions.reloads}
      dayTimezone=${page.settings.dayTimezone} />
    <${History} sessions=${sessions} openId=${openId} onOpen=${setOpenId} />
    ${openId !== '' && html`<${Detail} id=${openId} known=${sessions.find(openId)} onClose=${() => setOpenId('')} />`}`;
}

/** The tab tells how it goes, so that the page need not be in front. */
function useTitle(status, title) {
  const session = status?.aiStatus === 'active' ? status.session : null;
  const text = session === null ? title : `${status.callsMadeToday} of ${session.dailyCallLimit} · ${title}`;
  useEffect(() => {
    document.title = text;
    return () => {
      document.title = title;
    };
  }, [text, title]);
}

const skeleton = html`<${ControlSkeleton} /><div class="card skeleton chart-card"></div>`;

boot({ title: TITLE, Content: Panel, skeleton });
