-- A conversation of a user with an agent.
CREATE TABLE task_chat.tasks (
  task_id text PRIMARY KEY,
  user_id text NOT NULL,
  user_email text,
  agent_id text NOT NULL,
  -- How the first message begins.
  title text NOT NULL,
  state text NOT NULL CHECK (state IN ('waiting', 'answered', 'failed')),
  waiting_since timestamptz,
  failure_code text,
  failure_message text,
  -- How many there are.
  messages integer NOT NULL,
  responses integer NOT NULL,
  -- The position of the newest entry: raised under this row's lock, so that positions and commits agree.
  last_seq bigint NOT NULL,
  -- The position of the last change of what is shown of the task itself.
  state_seq bigint NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  CHECK ((state = 'waiting') = (waiting_since IS NOT NULL)),
  CHECK ((state = 'failed') = (failure_code IS NOT NULL)),
  CHECK ((failure_code IS NULL) = (failure_message IS NULL))
);
CREATE INDEX tasks_of_user ON task_chat.tasks (user_id, created_at DESC, task_id DESC);
CREATE INDEX tasks_waiting ON task_chat.tasks (waiting_since) WHERE state = 'waiting';
CREATE INDEX tasks_over ON task_chat.tasks (updated_at) WHERE state <> 'waiting';

-- What the user sent, and what became of it.
CREATE TABLE task_chat.messages (
  id uuid PRIMARY KEY,
  task_id text NOT NULL REFERENCES task_chat.tasks (task_id) ON DELETE CASCADE,
  seq bigint NOT NULL,
  message text NOT NULL,
  -- While it is pending, its outbox row is the truth.
  delivery text NOT NULL CHECK (delivery IN ('pending', 'delivered', 'failed')),
  failure_code text,
  failure_message text,
  -- The outbox row that sends it; another one after it was sent again.
  delivery_id uuid NOT NULL UNIQUE,
  created_at timestamptz NOT NULL,
  UNIQUE (task_id, seq),
  CHECK ((delivery = 'failed') = (failure_code IS NOT NULL)),
  CHECK ((failure_code IS NULL) = (failure_message IS NULL))
);
CREATE INDEX messages_pending ON task_chat.messages (task_id) WHERE delivery = 'pending';

-- What the agent answered, in the order of `seq`.
CREATE TABLE task_chat.communications (
  id uuid PRIMARY KEY,
  task_id text NOT NULL REFERENCES task_chat.tasks (task_id) ON DELETE CASCADE,
  seq bigint NOT NULL,
  response text NOT NULL,
  source text NOT NULL CHECK (source IN ('webhook', 'answer', 'test')),
  -- The outbox row whose answer holds it, and where in there: an answer is stored once.
  delivery_id uuid,
  delivery_index integer,
  created_at timestamptz NOT NULL,
  UNIQUE (task_id, seq),
  UNIQUE (delivery_id, delivery_index),
  CHECK ((source = 'answer') = (delivery_id IS NOT NULL)),
  CHECK ((delivery_id IS NULL) = (delivery_index IS NULL))
);

-- SHA-256 of the ids of erased tasks, kept for a while so that a late answer brings nothing back.
CREATE TABLE task_chat.tombstones (
  hash bytea PRIMARY KEY,
  at timestamptz NOT NULL
);
CREATE INDEX tombstones_at ON task_chat.tombstones (at);

-- The answers to requests that carry a key.
CREATE TABLE task_chat.idempotency (
  caller text NOT NULL,
  route text NOT NULL,
  key text NOT NULL,
  request bytea NOT NULL,
  status smallint,
  answer jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (caller, route, key)
);
CREATE INDEX idempotency_created ON task_chat.idempotency (created_at);

-- The processes that serve this schema.
CREATE TABLE task_chat.replicas (
  id uuid PRIMARY KEY,
  url text,
  token text NOT NULL,
  beat_at timestamptz NOT NULL DEFAULT now()
);

-- What is owed to the agents.
CREATE TABLE task_chat.outbox (
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
CREATE INDEX outbox_due ON task_chat.outbox (next_attempt_at) WHERE state = 'owed';
CREATE INDEX outbox_key ON task_chat.outbox (key, seq);
CREATE INDEX outbox_replica ON task_chat.outbox (replica) WHERE state = 'sending';
CREATE INDEX outbox_finished ON task_chat.outbox (finished_at) WHERE finished_at IS NOT NULL;
