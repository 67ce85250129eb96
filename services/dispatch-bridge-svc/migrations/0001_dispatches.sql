-- A call that was to be dialled, from the reservation of its room to its end.
CREATE TABLE dispatch.dispatches (
  id uuid PRIMARY KEY,
  -- The room is the witness: at most one dispatch is ever acted on in it.
  room text NOT NULL UNIQUE,
  -- How far the dial has come. `reserved` and `sending` are under way; `unsent` certainly did not dial; `unknown` may have.
  step text NOT NULL DEFAULT 'reserved' CHECK (step IN ('reserved', 'sending', 'placed', 'unsent', 'unknown')),
  -- What is shown of the call.
  status text NOT NULL DEFAULT 'dispatched'
    CHECK (status IN ('dispatched', 'ringing', 'answered', 'ended', 'no_worker', 'failed')),
  -- The replica that dials or follows it; dead with it.
  holder uuid,
  -- When CreateDispatch was about to be sent, by the database's clock.
  sending_at timestamptz,
  dispatch_id text UNIQUE,
  job_id text,
  -- The jobs as they are shown.
  jobs jsonb NOT NULL DEFAULT '[]',
  agent_name text NOT NULL,
  account_code text NOT NULL,
  destination text NOT NULL,
  -- Digits alone, without + or 00: what numbers are compared by.
  digits text NOT NULL,
  metadata jsonb NOT NULL,
  session_options jsonb NOT NULL,
  record_call boolean NOT NULL,
  -- Where the caller gave a key: the key, the request it came with, and what was answered. Freed with what certainly did not dial.
  idempotency_key text,
  request_hash bytea,
  answer jsonb,
  -- The call.
  call_start timestamptz,
  call_end timestamptz,
  end_reason text CHECK (end_reason IN ('no_answer', 'busy', 'declined', 'refused', 'trunk_failure', 'hangup', 'cancelled',
    'agent_error', 'unknown')),
  message text,
  warning text,
  -- The recording: what is shown of it, null where there is none.
  recording jsonb,
  -- What the fold of observations remembers.
  observed jsonb NOT NULL DEFAULT '{}',
  -- When somebody asked to cancel it: what ends then was cancelled.
  cancel_at timestamptz,
  -- The `call_result` that is owed or was sent.
  result_delivery uuid,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  -- The transaction of the last change that can be seen: the order of the stream.
  tx xid8 NOT NULL DEFAULT pg_current_xact_id(),
  CHECK ((idempotency_key IS NULL) = (request_hash IS NULL)),
  CHECK (step NOT IN ('sending', 'placed') OR sending_at IS NOT NULL),
  CHECK ((step = 'placed') = (dispatch_id IS NOT NULL))
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX dispatches_key ON dispatch.dispatches (account_code, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX dispatches_tx ON dispatch.dispatches (tx);
CREATE INDEX dispatches_newest ON dispatch.dispatches (created_at, id);
CREATE INDEX dispatches_of_account ON dispatch.dispatches (account_code, created_at, id);
CREATE INDEX dispatches_job ON dispatch.dispatches (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX dispatches_numbers ON dispatch.dispatches (account_code, digits, created_at);
-- What somebody works on, or has to.
CREATE INDEX dispatches_under_way ON dispatch.dispatches (created_at)
  WHERE step IN ('reserved', 'sending') OR (step = 'placed' AND status IN ('dispatched', 'ringing', 'answered'));

-- What is recorded still, though the call is over.
CREATE INDEX dispatches_recorded ON dispatch.dispatches (call_end)
  WHERE recording ->> 'state' IN ('starting', 'active', 'ending') AND status IN ('ended', 'failed');

-- The last dial to a number for an account: another one within the window is a duplicate.
CREATE TABLE dispatch.dial_guard (
  account_code text NOT NULL,
  digits text NOT NULL,
  dispatch uuid NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (account_code, digits)
);
CREATE INDEX dial_guard_at ON dispatch.dial_guard (at);

-- Rooms that are to be deleted, once or several times, so that nothing happens in them later.
CREATE TABLE dispatch.closings (
  room text PRIMARY KEY,
  due_at timestamptz NOT NULL,
  -- After a deletion: when to delete again, in seconds from the first; none: done.
  again_s integer[] NOT NULL DEFAULT '{}',
  tries integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX closings_due ON dispatch.closings (due_at);

-- What LiveKit, an agent or this service said of a call: the timeline of its page.
CREATE TABLE dispatch.events (
  id uuid PRIMARY KEY,
  dispatch uuid REFERENCES dispatch.dispatches (id) ON DELETE CASCADE,
  -- LiveKit's own id of a webhook: the same one twice counts once.
  source_id text UNIQUE,
  kind text NOT NULL,
  at timestamptz NOT NULL,
  detail jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_of_dispatch ON dispatch.events (dispatch, at);
CREATE INDEX events_created ON dispatch.events (created_at);

-- Agents' reports at the end of a call, as they came.
CREATE TABLE dispatch.summaries (
  id uuid PRIMARY KEY,
  dispatch uuid REFERENCES dispatch.dispatches (id) ON DELETE CASCADE,
  dispatch_id text,
  room text,
  job_id text,
  -- SHA-256 of the report: the same one twice counts once.
  hash bytea NOT NULL UNIQUE,
  report bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX summaries_of_dispatch ON dispatch.summaries (dispatch);
CREATE INDEX summaries_created ON dispatch.summaries (created_at);

-- SHA-256 of the rooms, dispatches and jobs of erased calls, kept for a while so that a late event brings nothing back.
CREATE TABLE dispatch.tombstones (
  hash bytea PRIMARY KEY,
  at timestamptz NOT NULL
);
CREATE INDEX tombstones_at ON dispatch.tombstones (at);

-- The processes that serve this schema.
CREATE TABLE dispatch.replicas (
  id uuid PRIMARY KEY,
  url text,
  token text NOT NULL,
  beat_at timestamptz NOT NULL DEFAULT now()
);

-- What is owed to n8n.
CREATE TABLE dispatch.outbox (
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
CREATE INDEX outbox_due ON dispatch.outbox (next_attempt_at) WHERE state = 'owed';
CREATE INDEX outbox_key ON dispatch.outbox (key, seq);
CREATE INDEX outbox_replica ON dispatch.outbox (replica) WHERE state = 'sending';
CREATE INDEX outbox_finished ON dispatch.outbox (finished_at) WHERE finished_at IS NOT NULL;
