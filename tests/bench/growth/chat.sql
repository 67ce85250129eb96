INSERT INTO chat.sessions (id, channel, resume_hash, last_seq, created_at, updated_at)
SELECT 'cw-stored-' || n, 'default', sha256(convert_to('stored' || n, 'UTF8')), 10, now(), now()
FROM generate_series(1, :rows / 10) AS numbers (n);

INSERT INTO chat.entries (session_id, seq, id, kind, audience, sender, body, created_at)
SELECT 'cw-stored-' || n, seq, md5(n || '-' || seq)::uuid, 'message', 'all',
  CASE seq % 2 WHEN 0 THEN 'bot' ELSE 'user' END, repeat('What are your opening hours? ', 4), now()
FROM generate_series(1, :rows / 10) AS numbers (n), generate_series(1, 10) AS entries (seq);
