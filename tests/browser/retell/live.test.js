// Calls as they happen: in the list, in the figures, in the open details; and a stream that breaks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { callsPage, personWithCalls } from '../support/calls-page.js';
import { analysedCall, callsOf, forward, retellPlays } from '../support/retell.js';
import { eventually } from '../support/wait.js';

const browser = useBrowser('retell');

test('a call that Retell plays shows while it goes on and is judged at its end, without a reload', async () => {
  const { person, agentId } = await personWithCalls();
  const { page, shot, close } = await browser.openAs(person);
  const { live, rows, list, figures, drawer } = callsPage(page);
  await live.waitFor();
  await page.getByText('No calls yet.').waitFor();
  const callId = await retellPlays(agentId, { sentiment: 'Positive', duration_ms: 90_000, pause_ms: 700 });
  await list.getByText('Ongoing').waitFor();
  await rows.first().click();
  await drawer.getByText('Ongoing').waitFor();
  await drawer.getByText(/^(Successful|Unsuccessful)$/).waitFor();
  await drawer.getByText('Positive', { exact: true }).waitFor();
  await drawer.locator('.turn.right').first().waitFor();
  await drawer.locator('.turn.left').first().waitFor();
  assert.equal(await rows.count(), 1);
  assert.ok((await rows.first().innerText()).includes('1.50'), await rows.first().innerText());
  const { turns } = await callsOf(person).read(callId);
  await eventually('every turn', async () => (await drawer.locator('.turn').count()) === turns.length);
  assert.deepEqual(await drawer.locator('.turn-text').allInnerTexts(), turns.map(({ text }) => text));
  await figures.getByRole('img', { name: /^Calls\. 1 call in 30 days/ }).waitFor();
  await figures.getByRole('img', { name: /^Minutes\. 1\.5 minutes in 30 days/ }).waitFor();
  await figures.getByRole('row', { name: /^Positive 1 100 %/ }).waitFor();
  await shot('retell-live', { fullPage: false });
  await close();
});

test('a chat shows as a chat, with who wrote what', async () => {
  const { person, agentId } = await personWithCalls();
  const { page, close } = await browser.openAs(person);
  const { live, rows, drawer } = callsPage(page);
  await live.waitFor();
  const chatId = await retellPlays(agentId, { chat: true, pause_ms: 10 });
  await rows.getByRole('cell', { name: 'Chat', exact: true }).waitFor();
  await rows.first().click();
  await page.getByRole('heading', { name: 'Chat', exact: true }).waitFor();
  await drawer.locator('.turn.left').first().waitFor();
  await drawer.getByText(chatId).first().waitFor();
  await close();
});

test('a filtered list takes up a new call that fits, and no other', async () => {
  const { person, agentId } = await personWithCalls((id) => [analysedCall(id, { analysis: { call_summary: 'Fits from the start.' } })]);
  const { page, close } = await browser.openAs(person, { path: '/?sentiment=Positive' });
  const { live, summaries } = callsPage(page);
  await live.waitFor();
  await eventually('the one that fits', async () => (await summaries.count()) === 1);
  await forward(analysedCall(agentId, { analysis: { call_summary: 'Does not fit.', user_sentiment: 'Negative' } }));
  await forward(analysedCall(agentId, { analysis: { call_summary: 'Fits as well.' } }));
  await eventually('both that fit', async () => (await summaries.count()) === 2);
  assert.deepEqual((await summaries.allInnerTexts()).sort(), ['Fits as well.', 'Fits from the start.']);
  await close();
});

test('a call that started long ago takes its place among the others', async () => {
  const at = (minutes) => Date.now() - minutes * 60_000;
  const told = (call_summary, minutes) => (id) => analysedCall(id, { start_timestamp: at(minutes), analysis: { call_summary } });
  const { person, agentId } = await personWithCalls((id) => [told('Second', 20)(id), told('Fourth', 40)(id)]);
  const { page, close } = await browser.openAs(person);
  const { live, summaries } = callsPage(page);
  await live.waitFor();
  await eventually('two rows', async () => (await summaries.count()) === 2);
  await forward(told('Third', 30)(agentId));
  await forward(told('First', 10)(agentId));
  await eventually('four rows', async () => (await summaries.count()) === 4);
  assert.deepEqual(await summaries.allInnerTexts(), ['First', 'Second', 'Third', 'Fourth']);
  await close();
});

test('a broken stream says since when, comes back, and shows what was missed', async () => {
  const { person, agentId } = await personWithCalls((id) => [analysedCall(id)]);
  const { page, shot, close } = await browser.openAs(person, { expectErrors: true });
  const { live, rows, summaries, figures } = callsPage(page);
  await live.waitFor();
  await eventually('one row', async () => (await rows.count()) === 1);
  await page.context().setOffline(true);
  await page.locator('.connection', { hasText: /Reconnecting since \d\d:\d\d:\d\d/ }).waitFor();
  await shot('retell-reconnecting');
  await forward(analysedCall(agentId, { start_timestamp: Date.now(), analysis: { call_summary: 'Came in the gap.' } }));
  await page.context().setOffline(false);
  await live.waitFor();
  await eventually('two rows', async () => (await rows.count()) === 2);
  assert.equal(await summaries.first().innerText(), 'Came in the gap.');
  await figures.getByRole('img', { name: /^Calls\. 2 calls in 30 days/ }).waitFor();
  await close();
});
