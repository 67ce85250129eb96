// The same webhook on one Node process: `express` and `pg`. The signature is verified over the raw bytes, as Retell's SDK
// does it, and the event is one row. No tenants, no folding into a call, no search: less than the service does, so that the
// comparison favours this one. What is answered is committed.
//
// DATABASE_URL, RETELL_API_KEY; prints `listening <port>`.

import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import express from "express";
import pg from "pg";

const { DATABASE_URL, RETELL_API_KEY } = process.env;
const OLDEST_MS = 5 * 60 * 1000;
// As many connections as the service has for its work.
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 4 });
pool.on("error", () => {});

await pool.query(`CREATE TABLE IF NOT EXISTS peer_events (
  hash bytea PRIMARY KEY, call_id text NOT NULL, agent_id text NOT NULL, event text NOT NULL, payload jsonb NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now())`);
await pool.query("CREATE INDEX IF NOT EXISTS peer_events_call ON peer_events (call_id)");

function verify(body, signature) {
  const parts = /^v=(\d+),d=([0-9a-f]{64})$/.exec(signature ?? "");
  if (!parts || Math.abs(Date.now() - Number(parts[1])) > OLDEST_MS) return false;
  const digest = createHmac("sha256", RETELL_API_KEY).update(body).update(parts[1]).digest();
  return timingSafeEqual(digest, Buffer.from(parts[2], "hex"));
}

const app = express();
app.post("/api/retell/webhook", express.raw({ type: "application/json", limit: "1mb" }), async (request, response) => {
  if (!verify(request.body, request.get("x-retell-signature"))) return response.status(401).json({ error: "Unauthorized" });
  const { event, call } = JSON.parse(request.body);
  if (!event || !call?.call_id || !call.agent_id) return response.status(400).json({ error: "call is wrong" });
  await pool.query({
    name: "event",
    text: `INSERT INTO peer_events (hash, call_id, agent_id, event, payload) VALUES ($1, $2, $3, $4, $5)
      ON CONFLICT (hash) DO NOTHING`,
    values: [createHash("sha256").update(request.body).digest(), call.call_id, call.agent_id, event, call],
  });
  response.json({ success: true });
});

const server = app.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
