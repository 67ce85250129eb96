import { newPerson } from './people.js';
import { callsOf, forward, newAgent } from './retell.js';

/** The parts of the page of the calls, as a person finds them. */
export function callsPage(page) {
  const card = page.getByRole('region', { name: 'Retell agent' });
  const list = page.getByRole('region', { name: 'Calls', exact: true });
  return {
    card,
    agentId: card.getByLabel('Agent id'),
    apiKey: card.getByLabel('Retell API key'),
    connectButton: card.getByRole('button', { name: 'Connect Agent' }),
    disconnectButton: card.getByRole('button', { name: 'Disconnect' }),
    online: card.getByText('Online', { exact: true }),
    offline: card.getByText('Offline', { exact: true }),
    fieldError: (text) => card.locator('.field-note.error', { hasText: text }),
    list,
    rows: list.locator('tbody tr:has(a)'),
    summaries: list.locator('tbody tr:has(a) .clip'),
    search: list.getByRole('searchbox', { name: 'Search calls' }),
    sentiment: list.getByLabel('Sentiment'),
    from: list.getByLabel('From'),
    to: list.getByLabel('To'),
    csv: list.getByRole('link', { name: 'Download CSV' }),
    figures: page.getByRole('region', { name: 'Figures' }),
    drawer: page.getByRole('dialog', { name: /^(Call|Chat)$/ }),
    question: (title) => page.getByRole('dialog', { name: title }),
    live: page.locator('.connection', { hasText: 'Live' }),
  };
}

/** A person whose agent is connected and has had these calls, the first one last: `{person, agentId, calls}`. */
export async function personWithCalls(build = () => []) {
  const person = newPerson('calls');
  const agentId = newAgent();
  await callsOf(person).connect(agentId);
  const calls = [];
  for (const call of build(agentId)) calls.push(await forward(call));
  return { person, agentId, calls };
}
