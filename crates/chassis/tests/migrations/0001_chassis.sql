-- The chassis' tables as every service has them, and an owner's table, for the tests of the chassis.
CREATE SCHEMA outbox_test;
CREATE TABLE outbox_test.replicas (
  id uuid PRIMARY KEY, url text, token text NOT NULL, beat_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE outbox_test.outbox (
  id uuid PRIMARY KEY, seq bigint GENERATED ALWAYS AS IDENTITY, topic text NOT NULL, key text NOT NULL,
  target text NOT NULL, headers jsonb, body bytea, guarantee text NOT NULL,
  state text NOT NULL CHECK (state IN ('owed', 'sending', 'answered', 'refused', 'failed', 'given_up', 'unknown',
    'cancelled', 'discarded')),
  attempts integer NOT NULL DEFAULT 0, next_attempt_at timestamptz NOT NULL DEFAULT now(),
  deadline timestamptz NOT NULL, replica uuid, sent_at timestamptz, outcome jsonb, last_error jsonb,
  created_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz
);
-- What became of things: one row for each outcome that the owner was told.
CREATE TABLE outbox_test.things (key text NOT NULL, outcome text NOT NULL, detail text, waited_s float8,
  at timestamptz NOT NULL DEFAULT now());
CREATE TABLE outbox_test.watchers (key text PRIMARY KEY, revision bigint NOT NULL);
CREATE TABLE outbox_test.idempotency (
  caller text NOT NULL, route text NOT NULL, key text NOT NULL, request bytea NOT NULL, status smallint, answer jsonb,
  created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (caller, route, key)
);
