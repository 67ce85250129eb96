-- The chassis' tables as every service has them, for a service that does nothing.
CREATE TABLE http_test.replicas (
  id uuid PRIMARY KEY, url text, token text NOT NULL, beat_at timestamptz NOT NULL DEFAULT now()
);
