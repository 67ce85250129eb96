-- A visitor's chat. Every message of it updates this row: no column that changes then is indexed, and pages have room. Neither
-- this table nor that of the entries has CHECKs: PostgreSQL parses each of them anew for every statement that writes, which
-- costs a message a quarter of its time in the database. What makes no sense is refused where rows are read.
CREATE TABLE chat.sessions (
  -- `cw-<unix ms>-<random>`, so that the order of the ids is the order of the beginnings.
  id text PRIMARY KEY,
  channel text NOT NULL,
  -- SHA-256 of the token that resumes it.
  resume_hash bytea NOT NULL UNIQUE,
  -- 'bot' or 'operator'.
  mode text NOT NULL DEFAULT 'bot',
  -- Who holds it: nobody where a machine handed it over, and while the bot speaks.
  operator_id text,
  operator_name text,
  -- Since when the bot could not be reached, or broke.
  flagged_at timestamptz,
  -- The position of the newest entry: raised under this row's lock, so that positions and commits agree.
  last_seq bigint NOT NULL DEFAULT 0,
  -- A minute begins with its first message; how many came in the last that began, of the visitor and by `send-message`.
  visitor_minute timestamptz NOT NULL DEFAULT 'epoch',
  sender_minute timestamptz NOT NULL DEFAULT 'epoch',
  visitor_count integer NOT NULL DEFAULT 0,
  sender_count integer NOT NULL DEFAULT 0,
  -- Of the newest connection: the page's origin, the browser, the page.
  origin text,
  user_agent text,
  referer text,
  created_at timestamptz NOT NULL,
  -- Of the last entry or change.
  updated_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX sessions_of_channel ON chat.sessions (channel, id);
CREATE INDEX sessions_taken_over ON chat.sessions (id) WHERE mode = 'operator';
CREATE INDEX sessions_flagged ON chat.sessions (id) WHERE flagged_at IS NOT NULL;

-- The log of a chat: what its readers see, in the order of `seq`.
CREATE TABLE chat.entries (
  session_id text NOT NULL REFERENCES chat.sessions (id) ON DELETE CASCADE,
  seq bigint NOT NULL,
  -- On the wire `msg-<hex>`; that of a visitor's message is also the id of the outbox row that sends it.
  id uuid NOT NULL,
  -- 'message', 'status' or 'trouble'.
  kind text NOT NULL,
  -- Who may see it: 'all' or 'operators'.
  audience text NOT NULL,
  -- Of a message: 'user', 'bot' or 'operator'.
  sender text,
  name text,
  body text,
  -- The operator who wrote it, so that his name can be erased.
  author text,
  -- Of a status.
  mode text,
  -- What the visitor called his message; of trouble: the message that the bot did not answer.
  client_id text,
  -- The message that a bot's reply answers, and where in the answer it stood: an answer is stored once.
  in_reply_to uuid,
  part integer,
  created_at timestamptz NOT NULL,
  -- Tells operators' streams what a snapshot has not seen yet.
  tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
  PRIMARY KEY (session_id, seq),
  UNIQUE (session_id, id)
);
CREATE UNIQUE INDEX entries_client ON chat.entries (session_id, client_id) WHERE kind = 'message' AND client_id IS NOT NULL;
CREATE UNIQUE INDEX entries_reply ON chat.entries (session_id, in_reply_to, part) WHERE in_reply_to IS NOT NULL;
CREATE INDEX entries_author ON chat.entries (author) WHERE author IS NOT NULL;
CREATE INDEX entries_tx ON chat.entries (tx);

-- Chats of which something changed that is no entry: begun, connected, gone, erased. For operators' streams; short-lived.
CREATE TABLE chat.changes (
  tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
  session_id text NOT NULL,
  -- Of an erased chat, which nothing else tells any more.
  channel text,
  at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX changes_tx ON chat.changes (tx);
CREATE INDEX changes_at ON chat.changes (at);

-- Which replica holds a socket of which chat. Written by that replica only, dead with it.
CREATE TABLE chat.registrations (
  session_id text NOT NULL,
  replica uuid NOT NULL,
  PRIMARY KEY (session_id, replica)
);
CREATE INDEX registrations_of_replica ON chat.registrations (replica);

-- SHA-256 of the ids of erased chats, kept for a while so that a late answer brings nothing back.
CREATE TABLE chat.tombstones (
  hash bytea PRIMARY KEY,
  at timestamptz NOT NULL
);
CREATE INDEX tombstones_at ON chat.tombstones (at);

-- The answers to requests that carry a key.
CREATE TABLE chat.idempotency (
  caller text NOT NULL,
  route text NOT NULL,
  key text NOT NULL,
  request bytea NOT NULL,
  status smallint,
  answer jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (caller, route, key)
);
CREATE INDEX idempotency_created ON chat.idempotency (created_at);

-- The processes that serve this schema.
CREATE TABLE chat.replicas (
  id uuid PRIMARY KEY,
  url text,
  token text NOT NULL,
  beat_at timestamptz NOT NULL DEFAULT now()
);

-- Which living replica holds which chat; dead is who has not renewed his row for 10 s by this clock.
CREATE VIEW chat.holders AS
  SELECT r.session_id, r.replica, p.url, p.token
  FROM chat.registrations r JOIN chat.replicas p ON p.id = r.replica
  WHERE p.beat_at > now() - interval '10 seconds';

-- What is owed to n8n.
CREATE TABLE chat.outbox (
  id uuid PRIMARY KEY,
  seq bigint GENERATED ALWAYS AS IDENTITY,
  topic text NOT NULL,
  key text NOT NULL,
  target text NOT NULL,
  headers jsonb,
  body bytea,
  guarantee text NOT NULL,
  state text NOT NULL CHECK (state IN
    ('owed', 'sending', 'answered', 'refused', 'failed', 'given_up', 'unknown', 'cancelled', 'discarded')),
  attempts integer NOT NULL DEFAULT 0,
  next_attempt_at timestamptz NOT NULL DEFAULT now(),
  deadline timestamptz NOT NULL,
  replica uuid,
  sent_at timestamptz,
  outcome jsonb,
  last_error jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  finished_at timestamptz
);
CREATE INDEX outbox_due ON chat.outbox (next_attempt_at) WHERE state = 'owed';
-- Finished rows of a long chat are many, and nobody asks for them by their chat.
CREATE INDEX outbox_key ON chat.outbox (key, seq) WHERE state IN ('owed', 'sending');
CREATE INDEX outbox_replica ON chat.outbox (replica) WHERE state = 'sending';
CREATE INDEX outbox_finished ON chat.outbox (finished_at) WHERE finished_at IS NOT NULL;
