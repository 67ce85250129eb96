// A real n8n of its own: a fresh folder, SQLite, free ports, nothing that leaves this machine.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from '../../browser/support/wait.js';

const READY_MS = 180_000;
const STOP_MS = 20_000;
const LAST_LINES = 40;

/** What n8n is told beside where it listens. */
const QUIET = {
  NODE_ENV: 'production',
  DB_TYPE: 'sqlite',
  N8N_PROTOCOL: 'http',
  N8N_SECURE_COOKIE: 'false',
  N8N_RUNNERS_BROKER_LISTEN_ADDRESS: '127.0.0.1',
  N8N_DIAGNOSTICS_ENABLED: 'false',
  N8N_DIAGNOSTICS_CONFIG_FRONTEND: '',
  N8N_DIAGNOSTICS_CONFIG_BACKEND: '',
  N8N_VERSION_NOTIFICATIONS_ENABLED: 'false',
  N8N_VERSION_NOTIFICATIONS_WHATS_NEW_ENABLED: 'false',
  N8N_TEMPLATES_ENABLED: 'false',
  N8N_PERSONALIZATION_ENABLED: 'false',
  N8N_HIRING_BANNER_ENABLED: 'false',
  N8N_DYNAMIC_BANNERS_ENABLED: 'false',
  N8N_COMMUNITY_PACKAGES_ENABLED: 'false',
  N8N_DISABLED_MODULES: 'mcp-registry,mcp,community-packages,insights,instance-ai,agents,workflow-builder',
  N8N_PUBLIC_API_DISABLED: 'true',
  SCARF_ANALYTICS: 'false',
  DO_NOT_TRACK: '1',
  NO_COLOR: '1',
  TZ: 'UTC',
  GENERIC_TIMEZONE: 'UTC',
};

export class N8n {
  #process;
  #log;

  /** `directory`: where `install.sh` put it. `ports`: of n8n itself and of its task broker. */
  constructor({ directory, ports: [port, broker], log }) {
    this.url = `http://127.0.0.1:${port}`;
    this.home = mkdtempSync(join(tmpdir(), 'switchhook-n8n-'));
    this.#log = log;
    this.program = join(directory, 'node_modules/n8n/bin/n8n');
    this.environment = {
      ...QUIET,
      PATH: process.env.PATH,
      // By this, devstack knows what it must not leave behind.
      ...(process.env.SWITCHHOOK_STACK && { SWITCHHOOK_STACK: process.env.SWITCHHOOK_STACK }),
      HOME: this.home,
      N8N_USER_FOLDER: this.home,
      N8N_LISTEN_ADDRESS: '127.0.0.1',
      N8N_HOST: '127.0.0.1',
      N8N_PORT: String(port),
      N8N_RUNNERS_BROKER_PORT: String(broker),
    };
  }

  /** Runs n8n's command line. Its output goes to a file: n8n spins when a pipe is closed early. */
  async run(...parameters) {
    const [code] = await once(this.#spawn(parameters), 'exit');
    assert.equal(code, 0, `n8n ${parameters.join(' ')}:\n${this.tail()}`);
  }

  async start() {
    this.#process = this.#spawn(['start']);
    await eventually('n8n is ready', async () => {
      assert.equal(this.#process.exitCode, null, `n8n ended:\n${this.tail()}`);
      const response = await fetch(`${this.url}/healthz/readiness`).catch(() => undefined);
      return response?.ok;
    }, READY_MS);
  }

  async stop() {
    const running = this.#process;
    if (running && running.exitCode === null && running.signalCode === null) {
      const ended = once(running, 'exit');
      running.kill('SIGTERM');
      const kill = setTimeout(() => running.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(kill);
    }
    rmSync(this.home, { recursive: true, force: true });
  }

  tail() {
    return readFileSync(this.#log, 'utf8').trimEnd().split('\n').slice(-LAST_LINES).join('\n');
  }

  #spawn(parameters) {
    const log = openSync(this.#log, 'a');
    const child = spawn(process.execPath, [this.program, ...parameters], { env: this.environment, stdio: ['ignore', log, log] });
    closeSync(log);
    return child;
  }
}
