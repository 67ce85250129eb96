const DEADLINE_MS = 20_000;
const STEP_MS = 25;

/** Asks again until `probe` gives something truthy, which is returned; fails with `what` at the deadline. */
export async function eventually(what, probe, deadlineMs = DEADLINE_MS) {
  const end = Date.now() + deadlineMs;
  let last;
  while (Date.now() < end) {
    last = await probe();
    if (last) return last;
    await new Promise((resolve) => { setTimeout(resolve, STEP_MS); });
  }
  throw new Error(`not within ${deadlineMs} ms: ${what} (last seen: ${JSON.stringify(last)})`);
}
