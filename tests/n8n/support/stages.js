// The tests need two stacks: a service has one start webhook, and speaks to bots in one way.

const hook = (n8n) => (path) => `${n8n}/webhook/${path}`;

/** What the services are told about n8n, by stage. */
export const STAGES = {
  plain(n8n) {
    const at = hook(n8n);
    const bots = {
      default: 'chat-bot', handoff: 'chat-handoff', broken: 'chat-bot-broken', agent: 'chat-bot-agent',
      last: 'test-last-node', text: 'test-plain-text',
      stream: 'test-stream', 'stream-error': 'test-stream-error', error: 'test-error', late: 'test-published-late',
    };
    return {
      SESSION__N8N_WEBHOOK_URL: at('ai-session'),
      TASK_CHAT__AGENT_WEBHOOKS: JSON.stringify({ default: at('task-agent'), broken: at('task-agent-broken'), agent: at('task-agent-agent') }),
      CHAT__CHAT_CHANNELS: channels(bots, at),
      DISPATCH__N8N_WEBHOOK_URL: at('dispatch-result'),
    };
  },
  trigger(n8n) {
    const at = hook(n8n);
    const chat = (number) => `5b0d2b5e-2f35-4a35-8f0a-6a6f0b9d000${number}/chat`;
    return {
      SESSION__N8N_WEBHOOK_URL: at('ai-session-claims'),
      CHAT__CHAT_CHANNELS: channels({ default: chat(1), respond: chat(2), stream: chat(3) }, at),
      CHAT__N8N_CHAT_FORMAT: 'chat_trigger',
    };
  },
};

function channels(bots, at) {
  return JSON.stringify(Object.fromEntries(Object.entries(bots).map(([name, path]) => [name, { n8nUrl: at(path) }])));
}
