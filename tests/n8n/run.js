// Runs the stages one after another, each against a fresh stack and a fresh n8n.
// node run.js <directory of n8n> <devstack> [stage …]
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { freePorts } from './support/ports.js';
import { STAGES } from './support/stages.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const [directory, devstack, ...wanted] = process.argv.slice(2);

for (const stage of wanted.length > 0 ? wanted : Object.keys(STAGES)) {
  const ports = await freePorts(2);
  const environment = {
    ...process.env,
    ...STAGES[stage](`http://127.0.0.1:${ports[0]}`),
    N8N_OUTBOUND_SECRET: randomBytes(24).toString('hex'),
    N8N_DIRECTORY: directory,
    N8N_PORTS: ports.join(),
  };
  const child = spawn(devstack, ['exec', '--', process.execPath, `${here}stage.js`, stage], { env: environment, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  const [code] = await once(child, 'exit');
  if (code !== 0) process.exit(code ?? 1);
}
