import assert from 'node:assert/strict';
import { AxeBuilder } from '@axe-core/playwright';

/** No violation of any axe rule, and a real label for every field: axe takes a placeholder for one. */
export async function assertAccessible(page, where) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help} at ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
  assert.deepEqual(found, [], `axe, ${where}`);
  const unlabelled = await page.locator('input, select, textarea').evaluateAll(
    (fields) => fields.filter((field) => field.labels.length === 0 && !field.ariaLabel).map((field) => field.outerHTML),
  );
  assert.deepEqual(unlabelled, [], `fields without a label, ${where}`);
}

/** Nothing is wider than the screen. */
export async function assertNoSidewaysScroll(page, where) {
  const [content, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(content <= screen, `${where}: ${content} px of content on a ${screen} px screen`);
}
