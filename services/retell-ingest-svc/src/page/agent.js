// The card of the user's agent: whether one is connected, how Retell's events reach this service, connect and disconnect.
import { html } from './shared/html.js';
import { AskButton } from './shared/parts/ask-button.js';
import { Badge } from './shared/parts/badge.js';
import { CodeBlock, CurlBlock } from './shared/parts/code.js';
import { CopyButton } from './shared/parts/copy.js';
import { LoadError } from './shared/parts/load-error.js';
import { Loading } from './shared/parts/loading.js';
import { toast } from './shared/parts/toast.js';
import { ConnectForm } from './connect.js';
import { paths } from './calls.js';

/** The card at the top. */
export function AgentCard({ calls, page: { publicUrl, settings } }) {
  const { agent, agentError, loadAgent } = calls;
  if (agent === null && agentError !== null) {
    return html`<${LoadError} title="The state of the agent could not be loaded" error=${agentError} onRetry=${loadAgent} />`;
  }
  if (agent === null) return html`<${AgentSkeleton} />`;
  return html`<section class="card sides agent" aria-label="Retell agent">
    <div class="flow">
      <p class="headline" role="status">
        ${agent.isConnected
          ? html`<${Badge} tone="good" icon="done">${agent.aiStatus}<//>`
          : html`<${Badge} icon="stopped">${agent.aiStatus}<//>`}
      </p>
      ${agent.isConnected ? html`<${Connected} agent=${agent} />` : html`<p>No agent is connected. Connect your Retell agent to
        see its calls here: who called, what was said, how it went.</p>`}
      <${Webhook} address=${settings.webhookUrl ?? `${publicUrl}/api/retell/webhook`} />
    </div>
    <div class="flow">
      ${agent.isConnected ? html`<${Change} calls=${calls} agent=${agent} settings=${settings} />`
        : html`<${ConnectForm} calls=${calls} settings=${settings} />`}
    </div>
  </section>`;
}

/** The place of the card while nothing is known, as large as the card will be. */
export function AgentSkeleton() {
  return html`<${Loading} class="card agent-space" />`;
}

function Connected({ agent: { agentId, proven } }) {
  return html`<p class="agent-id"><code>${agentId}</code> <${CopyButton} text=${agentId} label="Copy id" /></p>
    <p class="muted">${proven
      ? 'Retell confirmed that this agent is yours.'
      : 'Not proven to be yours: whoever has its API key can take it over. Connect it again with the key to prove it.'}</p>`;
}

function Webhook({ address }) {
  return html`<${CodeBlock} label="Webhook address for Retell" code=${address} />
    <p class="field-note">In Retell's dashboard, paste it as the agent's webhook URL; an address there wins over the one of the
      whole account. A workflow in n8n can forward the events instead.</p>`;
}

function question({ adoptUnproven }) {
  return {
    title: 'Disconnect the agent?',
    text: 'Calls so far stay here. Later ones are held for some days and shown to nobody: '
      + `connect the agent again${adoptUnproven ? '' : ', with its API key,'} to get them.`,
    confirm: 'Disconnect',
  };
}

/** What can be done while an agent is connected. */
function Change({ calls, agent, settings }) {
  const disconnect = async () => {
    try {
      await calls.disconnect();
      toast('Retell agent disconnected.', 'neutral');
    } catch (refusal) {
      toast(refusal.message, 'bad');
    }
  };
  return html`<${AskButton} tone="danger" question=${question(settings)} busyText="Disconnecting …" onAct=${disconnect}>Disconnect<//>
    <details class="more"><summary>The same with curl</summary>
      <${CurlBlock} label="Disconnect" method="DELETE" path=${paths.disconnect} />
      <${CurlBlock} label="Status" path=${paths.agent} />
    </details>
    <details class="more">
      <summary>${agent.proven ? 'Connect another agent' : 'Prove this agent, or connect another'}</summary>
      <${ConnectForm} calls=${calls} settings=${settings} agentId=${agent.agentId} />
    </details>`;
}
