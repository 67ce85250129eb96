// The same task chat on one Node process: `express` and `pg`. The agent is asked by HTTP, its answer comes by webhook, and the
// page asks for answers each second. No outbox, no retries, no waiting requests, no streams: less than the service does, so
// that the comparison favours this one. What is answered is committed.
//
// DATABASE_URL, AGENT_WEBHOOK_URL, JWT_SECRET, WEBHOOK_SECRET; prints `listening <port>`.

import http from "node:http";
import { randomUUID, timingSafeEqual } from "node:crypto";
import express from "express";
import jwt from "jsonwebtoken";
import pg from "pg";

const { DATABASE_URL, AGENT_WEBHOOK_URL, JWT_SECRET, WEBHOOK_SECRET } = process.env;
// As many connections as the service has for its work.
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 4 });
pool.on("error", () => {});
const agent = new http.Agent({ keepAlive: true });

await pool.query(`CREATE TABLE IF NOT EXISTS peer_tasks (
  task_id text PRIMARY KEY, user_id text NOT NULL, agent_id text NOT NULL, message text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now())`);
await pool.query(`CREATE TABLE IF NOT EXISTS peer_communications (
  id uuid PRIMARY KEY, task_id text NOT NULL REFERENCES peer_tasks (task_id), response text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now())`);
await pool.query(`CREATE INDEX IF NOT EXISTS peer_communications_task ON peer_communications (task_id, created_at)`);

function ask(body) {
  const payload = JSON.stringify(body);
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(payload) };
  const request = http.request(AGENT_WEBHOOK_URL, { method: "POST", agent, headers }, (response) => response.resume());
  request.on("error", () => {});
  request.end(payload);
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

app.post("/api/tasks/assign-user-task", user, async (request, response) => {
  const { agentId, message } = request.body;
  if (!agentId || !message) return response.status(400).json({ error: "agentId and message are required" });
  const taskId = `task_${Date.now()}_${randomUUID()}`;
  await pool.query({
    name: "assign",
    text: "INSERT INTO peer_tasks (task_id, user_id, agent_id, message) VALUES ($1, $2, $3, $4)",
    values: [taskId, request.user.sub, agentId, message],
  });
  ask({ taskId, agentId, message, userId: request.user.sub });
  response.status(201).json({ success: true, taskId });
});

app.post("/api/communications/webhook-response", machine, async (request, response) => {
  const id = randomUUID();
  const { taskId } = request.body;
  await pool.query({
    name: "answer",
    text: "INSERT INTO peer_communications (id, task_id, response) VALUES ($1, $2, $3)",
    values: [id, taskId, request.body.response],
  });
  response.json({ success: true, taskId, responseId: id });
});

app.get("/api/communications/get-responses", user, async (request, response) => {
  const { taskId } = request.query;
  const { rows } = await pool.query({
    name: "responses",
    text: `SELECT c.id, c.task_id AS "taskId", c.response, c.created_at AS "createdAt" FROM peer_communications c
      JOIN peer_tasks t USING (task_id) WHERE c.task_id = $1 AND t.user_id = $2 ORDER BY c.created_at, c.id LIMIT 1000`,
    values: [taskId, request.user.sub],
  });
  response.json({ success: true, responses: rows, taskId });
});

const server = app.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
