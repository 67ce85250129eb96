INSERT INTO task_chat.tasks (task_id, user_id, agent_id, title, state, messages, responses, last_seq, state_seq, created_at,
  updated_at)
SELECT 'task_stored_' || n, 'user-' || n % 1000, 'support', 'Where is my order?', 'answered', 1, 2, 3, 2, at, at
FROM (SELECT n, now() - n * interval '10 s' AS at FROM generate_series(1, :rows) AS numbers (n)) AS made;

INSERT INTO task_chat.messages (id, task_id, seq, message, delivery, delivery_id, created_at)
SELECT md5('message' || n)::uuid, 'task_stored_' || n, 1, 'Where is my order?', 'delivered', md5('delivery' || n)::uuid, now()
FROM generate_series(1, :rows) AS numbers (n);

INSERT INTO task_chat.communications (id, task_id, seq, response, source, created_at)
SELECT md5(n || '-' || seq)::uuid, 'task_stored_' || n, seq, 'It is on its way.', 'webhook', now()
FROM generate_series(1, :rows) AS numbers (n), generate_series(2, 3) AS answers (seq);
