INSERT INTO dispatch.dispatches (id, room, step, status, sending_at, dispatch_id, job_id, agent_name, account_code, destination,
  digits, metadata, session_options, record_call, call_start, call_end, end_reason, created_at)
SELECT md5('stored' || n)::uuid, 'stored-' || n, 'placed', 'ended', at, 'AD_' || n, 'AJ_' || n, 'agent', 'bench',
  '6150' || lpad(n::text, 7, '0'), '6150' || lpad(n::text, 7, '0'), '{}', '{}', false, at, at, 'hangup', at
FROM (SELECT n, now() - n * interval '10 s' AS at FROM generate_series(1, :rows) AS numbers (n)) AS made;

INSERT INTO dispatch.dial_guard (account_code, digits, dispatch, at)
SELECT account_code, digits, id, created_at FROM dispatch.dispatches;

INSERT INTO dispatch.events (id, dispatch, kind, at)
SELECT md5(n || '-' || kind)::uuid, md5('stored' || n)::uuid, kind, now()
FROM generate_series(1, :rows) AS numbers (n), unnest(ARRAY['room_started', 'participant_joined', 'room_finished']) AS kinds (kind);
