// The page of the tasks: the list at `/`, the chat at `/chat`. `./shared/` is where the service serves the look that all
// pages share.
import { html } from './shared/html.js';
import { useParameter } from './shared/address.js';
import { boot } from './shared/boot.js';
import { Loading } from './shared/parts/loading.js';
import { Agents, serves, UnknownAgent } from './agents.js';
import { Chat } from './chat.js';
import { Detail } from './detail.js';
import { TaskList } from './list.js';

const TITLE = 'Tasks';

function Tasks() {
  const [openId, setOpenId] = useParameter('task', '');
  return html`<${TaskList} openId=${openId} onOpen=${setOpenId} />
    ${openId !== '' && html`<${Detail} id=${openId} onClose=${() => setOpenId('')} />`}`;
}

function Chats({ page }) {
  const [agentId] = useParameter('agent', '');
  if (agentId === '') return html`<${Agents} page=${page} />`;
  if (!serves(page.settings, agentId)) return html`<${UnknownAgent} agentId=${agentId} />`;
  return html`<${Chat} key=${agentId} page=${page} agentId=${agentId} />`;
}

const Content = location.pathname.endsWith('/chat') ? Chats : Tasks;

boot({ title: TITLE, Content, skeleton: html`<${Loading} class="card tasks-space" />` });
