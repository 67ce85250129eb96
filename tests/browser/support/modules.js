// The scripts of a page, module by module.
import assert from 'node:assert/strict';

/** Runs `work(module, argument)` in a page, with the module that is served at `assets/<path>`. */
export function useModules(browser) {
  return async (path, work, argument = null) => {
    const { page, close } = await browser.open();
    const module = `await import(new URL(${JSON.stringify(`assets/${path}`)}, location.href))`;
    const result = await page.evaluate(`(async () => (${work})(${module}, ${JSON.stringify(argument)}))()`);
    await close();
    return result;
  };
}

const STATIC_IMPORT = /(?:\bfrom\s*|^import )['"](\.[^'"]+)['"]/gm;

/** The HTML names each module that the page imports, so that none waits for another to be read first; and no other. */
export async function assertPreloads(browser) {
  const { page, close } = await browser.open();
  const named = await page.locator('link[rel=modulepreload]').evaluateAll((links) => links.map(({ href }) => href));
  const start = await page.locator('script[type=module]').evaluate(({ src }) => src);
  const imported = new Set();
  const unread = [start];
  while (unread.length > 0) {
    const script = unread.pop();
    const text = await (await page.request.get(script)).text();
    for (const [, path] of text.matchAll(STATIC_IMPORT)) {
      const { href } = new URL(path, script);
      if (!imported.has(href)) unread.push(href);
      imported.add(href);
    }
  }
  assert.ok(imported.size > 10, 'the imports were found');
  assert.deepEqual([...named].sort(), [...imported].sort());
  await close();
}
