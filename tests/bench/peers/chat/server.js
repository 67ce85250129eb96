// The same chat on one Node process: `ws` and `express`, the transcript in PostgreSQL, the bot asked by HTTP. No channels,
// no resume, no second process, no retries: less than the service does, so that the comparison favours this one.
//
// DATABASE_URL, N8N_WEBHOOK_URL; prints `listening <WebSocket port> <HTTP port>`.

import http from "node:http";
import { randomBytes, randomUUID } from "node:crypto";
import express from "express";
import pg from "pg";
import { WebSocketServer } from "ws";

const { DATABASE_URL, N8N_WEBHOOK_URL } = process.env;
// As many connections as the service has for its work.
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: 4 });
pool.on("error", () => {});
const agent = new http.Agent({ keepAlive: true });
const sessions = new Map();

await pool.query(`CREATE TABLE IF NOT EXISTS peer_messages (
  id uuid PRIMARY KEY, session_id text NOT NULL, sender text NOT NULL, body text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now())`);

const store = (id, session, sender, text) =>
  pool.query({
    name: "store",
    text: "INSERT INTO peer_messages (id, session_id, sender, body) VALUES ($1, $2, $3, $4)",
    values: [id, session, sender, text],
  });

function ask(body) {
  return new Promise((resolve, reject) => {
    const payload = JSON.stringify(body);
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(payload) };
    const request = http.request(N8N_WEBHOOK_URL, { method: "POST", agent, headers }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve(JSON.parse(Buffer.concat(chunks).toString())));
    });
    request.on("error", reject);
    request.end(payload);
  });
}

const send = (socket, frame) => socket.send(JSON.stringify(frame));
const message = (messageId, from, text) =>
  ({ type: "message", messageId, from, text, timestamp: new Date().toISOString() });

async function onMessage(socket, session, data) {
  const frame = JSON.parse(data);
  const id = randomUUID();
  await store(id, session, "user", frame.text);
  send(socket, { type: "ack", clientId: frame.clientId, messageId: id });
  const { text } = await ask({ text: frame.text, sessionId: session, meta: {}, messageId: id });
  const reply = randomUUID();
  await store(reply, session, "bot", text);
  send(socket, message(reply, "bot", text));
}

const sockets = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false });
sockets.on("connection", (socket) => {
  const session = `cw-${Date.now()}-${randomBytes(12).toString("hex")}`;
  sessions.set(session, socket);
  socket.isAlive = true;
  socket.on("pong", () => (socket.isAlive = true));
  socket.on("close", () => sessions.delete(session));
  socket.on("message", (data) => onMessage(socket, session, data).catch((error) => socket.close(1011, error.message)));
  send(socket, { type: "session", sessionId: session, resumeToken: randomBytes(32).toString("hex"), resumed: false, mode: "bot" });
});
setInterval(() => {
  for (const socket of sockets.clients) {
    if (!socket.isAlive) {
      socket.terminate();
      continue;
    }
    socket.isAlive = false;
    socket.ping();
  }
}, 25_000);

const app = express();
app.use(express.json());
app.post("/api/send-message", async (request, response) => {
  const { sessionId, text } = request.body;
  const socket = sessions.get(sessionId);
  if (!socket) return response.status(404).json({ success: false, error: "Session not found" });
  const id = randomUUID();
  await store(id, sessionId, "operator", text);
  send(socket, message(id, "operator", text));
  response.json({ success: true, sessionId, messageId: id });
});
const server = app.listen(0, "127.0.0.1", () => {
  console.log(`listening ${sockets.address().port} ${server.address().port}`);
});
