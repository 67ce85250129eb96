/** The parts of the AI Control Panel, as a person finds them. */
export function panel(page) {
  return {
    limit: page.getByLabel('Daily call limit'),
    startButton: page.getByRole('button', { name: 'Start AI Session' }),
    stopButton: page.getByRole('button', { name: 'Stop', exact: true }),
    resendButton: page.getByRole('button', { name: 'n8n did not start, send again' }),
    idle: page.getByText('⚪ AI System Idle'),
    active: page.getByText('AI System Active'),
    progress: (text) => page.locator('.progress-text', { hasText: new RegExp(`^${text}$`) }),
    progressBar: page.getByRole('progressbar'),
    ending: (text) => page.locator('.control .notice-title', { hasText: text }),
    control: page.locator('.control'),
    live: page.locator('.connection', { hasText: 'Live' }),
    rows: page.locator('section:has(#history) tbody tr:has(a)'),
    drawer: page.getByRole('dialog', { name: 'Session' }),
    search: page.getByRole('searchbox', { name: 'Search sessions' }),
  };
}
