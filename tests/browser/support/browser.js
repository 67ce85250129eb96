// The browser: one process per test file, a fresh profile per page, screenshots, and an eye on errors.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { after, before } from 'node:test';
import { chromium } from 'playwright-core';
import { screenshots, stack } from './stack.js';

const PROGRAMS = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const DEADLINE_MS = 20_000;
export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 360, height: 740 };

/** Starts a browser for the tests of the calling file; returns how to open pages of one service in it. */
export function useBrowser(service = 'session') {
  let browser;
  const open = (path, options) => openPage(browser, stack[`${service}Url`], path, options);
  before(async () => {
    const program = PROGRAMS.find((path) => path && existsSync(path));
    assert.ok(program, 'no Chromium found: install it or name it in CHROMIUM');
    browser = await chromium.launch({ executablePath: program, headless: true, args: FLAGS });
  });
  after(() => browser?.close());
  return {
    /** A page without anybody signed in. */
    open: (path = '/', options = {}) => open(path, options),
    /** A page opened by a person's sign-in link. */
    async openAs(person, { path = '/', ...options } = {}) {
      const opened = await open(`${path}#token=${person.token}`, options);
      await opened.page.getByRole('button', { name: 'Sign out' }).waitFor();
      return opened;
    },
  };
}

async function openPage(browser, origin, path, { viewport = DESKTOP, colorScheme = 'light', expectErrors = false } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, locale: 'en-GB', timezoneId: 'UTC', reducedMotion: 'reduce' });
  context.setDefaultTimeout(DEADLINE_MS);
  const page = await context.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !url.startsWith('data:')) complaints.push(`left the origin: ${url}`);
  });
  await page.goto(origin + path);
  return {
    page,
    /** Closes the page; anything it complained about fails the test. */
    async close() {
      await context.close();
      if (!expectErrors) assert.deepEqual(complaints, []);
    },
    shot: (name, options) => shot(page, name, options),
  };
}

/** The whole page; a dialog, which belongs to the screen, is better shown with `fullPage: false`. */
async function shot(page, name, { fullPage = true } = {}) {
  mkdirSync(screenshots, { recursive: true });
  await page.screenshot({ path: `${screenshots}${name}.png`, fullPage });
}
