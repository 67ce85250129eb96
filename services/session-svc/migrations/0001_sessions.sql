-- An AI calling session: the user's wish, the calls made so far, how it ended, and how its start reached n8n.
CREATE TABLE session.ai_sessions (
  id uuid PRIMARY KEY,
  user_id text NOT NULL,
  user_email text,
  status text NOT NULL CHECK (status IN ('active', 'stopped')),
  stop_reason text CHECK (stop_reason IN ('completed', 'stopped_by_user', 'failed', 'expired')),
  daily_call_limit integer NOT NULL CHECK (daily_call_limit BETWEEN 1 AND 1000000),
  -- The session's own counter; what all sessions of a user add up to on a day is in day_counts.
  calls_made_today integer NOT NULL DEFAULT 0 CHECK (calls_made_today >= 0),
  message text,
  started_at timestamptz NOT NULL,
  stopped_at timestamptz,
  -- The completion that counts, as n8n said it: it is taken once and repeated at will.
  completion_outcome text CHECK (completion_outcome IN ('completed', 'failed')),
  completion_calls integer,
  -- n8n has claimed, reported or answered: it has the start, whatever became of the request.
  heard boolean NOT NULL DEFAULT false,
  resent boolean NOT NULL DEFAULT false,
  -- What became of the start's delivery; while an outbox row is open, that row is the truth.
  delivery_state text NOT NULL DEFAULT 'pending'
    CHECK (delivery_state IN ('pending', 'waiting', 'delivered', 'unknown', 'failed', 'cancelled')),
  delivery_detail text CHECK (delivery_detail IN ('answer_lost')),
  delivery_attempts integer NOT NULL DEFAULT 0,
  delivery_error_code text,
  delivery_error_message text,
  CHECK ((status = 'stopped') = (stopped_at IS NOT NULL)),
  CHECK ((status = 'stopped') = (stop_reason IS NOT NULL)),
  CHECK ((delivery_error_code IS NULL) = (delivery_error_message IS NULL))
);

-- A user has at most one active session.
CREATE UNIQUE INDEX ai_sessions_one_active ON session.ai_sessions (user_id) WHERE status = 'active';
CREATE INDEX ai_sessions_of_user ON session.ai_sessions (user_id, started_at DESC, id DESC);
CREATE INDEX ai_sessions_active ON session.ai_sessions (started_at) WHERE status = 'active';
CREATE INDEX ai_sessions_stopped ON session.ai_sessions (stopped_at) WHERE status = 'stopped';

-- Calls of all sessions of a user on one day of DAY_TIMEZONE.
CREATE TABLE session.day_counts (
  user_id text NOT NULL,
  day date NOT NULL,
  calls bigint NOT NULL CHECK (calls >= 0),
  PRIMARY KEY (user_id, day)
);
CREATE INDEX day_counts_day ON session.day_counts (day);

-- Accepted claims that carry a call id, with the answer they were given.
CREATE TABLE session.claims (
  session_id uuid NOT NULL REFERENCES session.ai_sessions (id) ON DELETE CASCADE,
  call_id text NOT NULL,
  calls_made integer NOT NULL,
  remaining bigint NOT NULL,
  PRIMARY KEY (session_id, call_id)
);

-- What a stream of one user compares: raised last in every transaction that changes what the user sees.
CREATE TABLE session.users (
  id text PRIMARY KEY,
  revision bigint NOT NULL
);

-- SHA-256 of the ids of erased sessions, kept for a while so that a late event brings nothing back.
CREATE TABLE session.tombstones (
  hash bytea PRIMARY KEY,
  at timestamptz NOT NULL
);
CREATE INDEX tombstones_at ON session.tombstones (at);

-- The processes that serve this schema.
CREATE TABLE session.replicas (
  id uuid PRIMARY KEY,
  url text,
  token text NOT NULL,
  beat_at timestamptz NOT NULL DEFAULT now()
);

-- What is owed to n8n.
CREATE TABLE session.outbox (
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
CREATE INDEX outbox_due ON session.outbox (next_attempt_at) WHERE state = 'owed';
CREATE INDEX outbox_key ON session.outbox (key, seq);
CREATE INDEX outbox_replica ON session.outbox (replica) WHERE state = 'sending';
CREATE INDEX outbox_finished ON session.outbox (finished_at) WHERE finished_at IS NOT NULL;
