INSERT INTO session.ai_sessions (id, user_id, status, stop_reason, daily_call_limit, calls_made_today, started_at, stopped_at,
  heard, delivery_state)
SELECT md5('stored' || n)::uuid, 'user-' || n % 1000, 'stopped', 'completed', 100, 2, at, at + interval '1 hour', true, 'delivered'
FROM (SELECT n, now() - n * interval '10 s' AS at FROM generate_series(1, :rows) AS numbers (n)) AS made;

INSERT INTO session.claims (session_id, call_id, calls_made, remaining)
SELECT md5('stored' || n)::uuid, 'call-' || call, call, 100 - call
FROM generate_series(1, :rows) AS numbers (n), generate_series(1, 2) AS calls (call);

INSERT INTO session.outbox (id, topic, key, target, body, guarantee, state, attempts, deadline, sent_at, finished_at)
SELECT md5('delivery' || n)::uuid, 'start', md5('stored' || n), 'n8n', '{}', 'at_most_once', 'answered', 1, now(), now(), now()
FROM generate_series(1, :rows) AS numbers (n);

INSERT INTO session.ai_sessions (id, user_id, status, daily_call_limit, started_at, heard, delivery_state)
SELECT md5('claims' || n)::uuid, 'claims-' || n, 'active', 1000000, now(), true, 'delivered'
FROM generate_series(1, 1000) AS numbers (n);
