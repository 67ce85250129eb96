// Draws every template as n8n's own editor shows it, into deploy/n8n/pictures.
// node pictures.js <directory of n8n>
import { createRequire } from 'node:module';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { eventually } from '../browser/support/wait.js';
import { Editor } from './support/editor.js';
import { N8n } from './support/n8n.js';
import { freePorts } from './support/ports.js';
import { allTemplates, credentials } from './support/workflows.js';

const here = fileURLToPath(new URL('.', import.meta.url));
const pictures = `${here}../../deploy/n8n/pictures/`;
const { chromium } = createRequire(`${here}../browser/package.json`)('playwright-core');
const MARGIN = 48;
/** Below a node stand its name and lines that go back, beside it where it may go on. */
const BELOW = 128;
const BESIDE = 112;
/** What the editor needs around the canvas. */
const TOOLS = { width: 400, height: 400 };
const WITHIN_MS = 60_000;
const NODE = { width: 160, height: 150 };

/** How large the canvas must be to show everything in its natural size. */
function sizeOf({ nodes }) {
  const corners = nodes.map(({ position: [x, y], parameters: { width = NODE.width, height = NODE.height } }) => [x, y, x + width, y + height]);
  const low = (index) => Math.min(...corners.map((corner) => corner[index]));
  const high = (index) => Math.max(...corners.map((corner) => corner[index]));
  return { width: Math.ceil(high(2) - low(0)) + 2 * MARGIN, height: Math.ceil(high(3) - low(1)) + 2 * MARGIN };
}

/** Where the workflow is on the page, once it stays there. */
async function drawn(page) {
  let last;
  return eventually('the picture stands still', async () => {
    const box = await page.locator('.vue-flow__node').evaluateAll((nodes) => {
      const boxes = nodes.map((node) => node.getBoundingClientRect());
      const [left, top] = [Math.min(...boxes.map((one) => one.left)), Math.min(...boxes.map((one) => one.top))];
      return { left, top, right: Math.max(...boxes.map((one) => one.right)), bottom: Math.max(...boxes.map((one) => one.bottom)) };
    });
    const still = JSON.stringify(box) === last;
    last = JSON.stringify(box);
    if (!still) await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 500); }));
    return still && {
      x: box.left - MARGIN, y: box.top - MARGIN, width: box.right - box.left + MARGIN + BESIDE, height: box.bottom - box.top + MARGIN + BELOW,
    };
  }, WITHIN_MS);
}

const [directory] = process.argv.slice(2);
mkdirSync(`${here}../../target/n8n`, { recursive: true });
const n8n = new N8n({ directory, ports: await freePorts(2), log: `${here}../../target/n8n/pictures.log` });
const templates = allTemplates();
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
try {
  const file = (name, value) => { writeFileSync(`${n8n.home}/${name}`, JSON.stringify(value)); return `--input=${n8n.home}/${name}`; };
  await n8n.run('import:credentials', file('credentials.json', credentials({})));
  await n8n.run('import:workflow', file('workflows.json', Object.values(templates)));
  await n8n.start();
  const editor = await Editor.ofOwner({ url: n8n.url, directory, email: 'owner@example.com', password: 'Owner-of-a-test-1' });
  const [name, value] = editor.cookie.split('=');
  const context = await browser.newContext({ colorScheme: 'light', reducedMotion: 'reduce' });
  await context.addCookies([{ name, value, url: n8n.url }]);
  for (const [file, template] of Object.entries(templates)) {
    const page = await context.newPage();
    const size = sizeOf(template);
    await page.setViewportSize({ width: size.width + TOOLS.width, height: size.height + TOOLS.height });
    await page.goto(`${n8n.url}/workflow/${template.id}`);
    await page.locator('.vue-flow__node').nth(template.nodes.length - 1).waitFor({ timeout: WITHIN_MS });
    await page.screenshot({ path: `${pictures}${file}.png`, clip: await drawn(page) });
    await page.close();
    process.stderr.write(`· ${file}.png\n`);
  }
} finally {
  await browser.close();
  await n8n.stop();
}
