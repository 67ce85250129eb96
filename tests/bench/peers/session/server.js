// The same sessions on one Node process: `express` and `pg`, the start told to n8n by HTTP, a call claimed by one guarded
// UPDATE. No outbox, no retries, no call ids, no day's count over sessions, no streams: less than the service does, so that
// the comparison favours this one. What is answered is committed.
//
// DATABASE_URL, N8N_WEBHOOK_URL, N8N_OUTBOUND_SECRET, JWT_SECRET, WEBHOOK_SECRET; prints `listening <port>`.

import http from "node:http";
import { randomUUID, timingSafeEqual } from "node:crypto";
import express from "express";
import jwt from "jsonwebtoken";
import pg from "pg";

const { DATABASE_URL, N8N_WEBHOOK_URL, N8N_OUTBOUND_SECRET, JWT_SECRET, WEBHOOK_SECRET } = process.env;
// As many connections as the service has for its work.
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 4 });
pool.on("error", () => {});
const agent = new http.Agent({ keepAlive: true });

await pool.query(`CREATE TABLE IF NOT EXISTS peer_sessions (
  id uuid PRIMARY KEY, user_id text NOT NULL, user_email text, status text NOT NULL, daily_call_limit integer NOT NULL,
  calls_made integer NOT NULL DEFAULT 0, delivery text NOT NULL DEFAULT 'pending', started_at timestamptz NOT NULL DEFAULT now())`);
await pool.query(`CREATE UNIQUE INDEX IF NOT EXISTS peer_sessions_one_active ON peer_sessions (user_id) WHERE status = 'active'`);

function tell(body) {
  const payload = JSON.stringify(body);
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(payload),
    "x-n8n-webhook-secret": N8N_OUTBOUND_SECRET,
  };
  return new Promise((resolve, reject) => {
    const request = http.request(N8N_WEBHOOK_URL, { method: "POST", agent, headers }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode < 300 ? "delivered" : "failed"));
    });
    request.on("error", reject);
    request.end(payload);
  });
}

async function deliver(session) {
  const { id, user_id, user_email, daily_call_limit, started_at } = session;
  const delivery = await tell({
    userId: user_id, userEmail: user_email, sessionId: id, dailyCallLimit: daily_call_limit, callsMadeToday: 0,
    sessionStatus: "active", startedAt: started_at, timestamp: new Date().toISOString(),
  }).catch(() => "failed");
  await pool.query({
    name: "delivered",
    text: "UPDATE peer_sessions SET delivery = $2 WHERE id = $1",
    values: [id, delivery],
  });
}

function user(request, response, next) {
  try {
    request.user = jwt.verify(request.get("authorization").slice(7), JWT_SECRET, { algorithms: ["HS256"] });
    next();
  } catch {
    response.status(401).json({ error: "Unauthorized" });
  }
}

function machine(request, response, next) {
  const given = Buffer.from(request.get("x-n8n-webhook-secret") ?? "");
  const known = Buffer.from(WEBHOOK_SECRET);
  if (given.length === known.length && timingSafeEqual(given, known)) return next();
  response.status(401).json({ error: "Unauthorized" });
}

const app = express();
app.use(express.json());

app.post("/api/ai-session/start", user, async (request, response) => {
  const limit = request.body.dailyCallLimit;
  if (!Number.isInteger(limit) || limit < 1) return response.status(400).json({ error: "dailyCallLimit is wrong" });
  const { sub, email } = request.user;
  const { rows } = await pool.query({
    name: "start",
    text: `INSERT INTO peer_sessions (id, user_id, user_email, status, daily_call_limit) VALUES ($1, $2, $3, 'active', $4)
      ON CONFLICT DO NOTHING RETURNING *`,
    values: [randomUUID(), sub, email, limit],
  });
  if (rows.length === 0) return response.status(409).json({ error: "A session is active already" });
  deliver(rows[0]).catch(() => {});
  response.status(201).json({ success: true, session: rows[0] });
});

app.post("/api/ai-session/:id/calls", machine, async (request, response) => {
  const { rows } = await pool.query({
    name: "claim",
    text: `UPDATE peer_sessions SET calls_made = calls_made + 1
      WHERE id = $1 AND status = 'active' AND calls_made < daily_call_limit RETURNING calls_made, daily_call_limit`,
    values: [request.params.id],
  });
  if (rows.length === 0) return response.json({ allowed: false, reason: "limit_reached" });
  const [{ calls_made, daily_call_limit }] = rows;
  response.json({ allowed: true, callsMade: calls_made, remaining: daily_call_limit - calls_made });
});

const server = app.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
