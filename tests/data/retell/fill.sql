-- Calls of one client in numbers that no test would send: as the service itself would have written them, digests and
-- figures included. Run this file, then on the same connection, for each client:
--
--   SELECT pg_temp.fill('ada', 1000000);
--
-- and `ANALYZE` at the end. The calls go back in time, one every half a minute from 1 July 2026. Words to search for: `appointment`
-- is in six of ten calls, `voicemail` in one of a thousand, `zebra` in one of ten thousand, `ref<n>` in the nth alone.

CREATE FUNCTION pg_temp.fill(client text, calls integer) RETURNS void LANGUAGE sql AS $$
  INSERT INTO retell.users (id) VALUES (client) ON CONFLICT (id) DO NOTHING;

  INSERT INTO retell.calls (user_id, agent_id, call_id, channel, stage, status, direction, from_number, to_number,
    started_at, ended_at, duration_ms, duration_minutes, transcript, summary, sentiment, successful,
    disconnection_reason, cost_cents, sources, created_at, heard_at, sort_at)
  SELECT client, 'agent_' || md5(client), 'call_' || md5(client || n), 'voice', 5, 'ended', 'inbound',
    '+1415' || lpad((n % 10000000)::text, 7, '0'), '+14155550100',
    at, at + length, (n % 900) * 1000, round((n % 900) / 60.0, 2),
    'Agent: ' || words[1] || chr(10) || 'User: ' || words[2] || chr(10) || 'Agent: ' || words[3],
    'The caller asked for ' || words[4] || ' ref' || n,
    (ARRAY['Positive', 'Neutral', 'Negative', 'Unknown'])[1 + n % 4], n % 3 = 0,
    (ARRAY['user_hangup', 'agent_hangup', 'call_transfer', 'inactivity', 'voicemail_reached'])[1 + n % 5],
    n % 97 * 1.25, '[]', at + length, at + length, at
  FROM (
    SELECT n, timestamptz '2026-07-01 00:00:00Z' - n * interval '30 s' AS at, (n % 900) * interval '1 s' AS length,
      ARRAY(
        -- Few words are common and many are rare.
        SELECT string_agg('word' || floor(8000 * random() ^ 3)::integer, ' ')
        FROM generate_series(1, 20) WHERE n > 0
        UNION ALL SELECT string_agg('word' || floor(8000 * random() ^ 3)::integer, ' ')
        FROM generate_series(1, 20) WHERE n > 0
        UNION ALL SELECT string_agg('word' || floor(8000 * random() ^ 3)::integer, ' ')
        FROM generate_series(1, 20) WHERE n > 0
        UNION ALL SELECT concat_ws(' ',
          CASE WHEN n % 10 < 6 THEN 'an appointment' END,
          CASE WHEN n % 1000 = 500 THEN 'voicemail' END,
          CASE WHEN n % 10000 = 5000 THEN 'zebra' END)
      ) AS words
    FROM generate_series(1, calls) AS numbers (n)
  ) AS made;

  INSERT INTO retell.changes (call, user_id, revision)
  SELECT id, user_id, row_number() OVER (ORDER BY sort_at) FROM retell.calls WHERE user_id = client;

  INSERT INTO retell.digests (call, user_id, words, day, sentiment, outcome, reason, centiminutes, millicents)
  SELECT id, user_id,
    array_to_tsvector(array_remove(
      string_to_array(translate(lower(transcript || ' ' || summary), ':' || chr(10), '  '), ' ')
        || ('@' || user_id) || ('#' || lower(sentiment)), '')),
    (sort_at AT TIME ZONE 'UTC')::date, CASE sentiment WHEN 'Unknown' THEN '' ELSE sentiment END,
    CASE successful WHEN true THEN 'successful' WHEN false THEN 'unsuccessful' ELSE '' END, disconnection_reason,
    round(duration_minutes * 100)::bigint, round(cost_cents * 1000)::bigint
  FROM retell.calls WHERE user_id = client;

  INSERT INTO retell.figures (user_id, day, sentiment, outcome, reason, calls, centiminutes, millicents)
  SELECT user_id, day, sentiment, outcome, reason, count(*), sum(centiminutes), sum(millicents)
  FROM retell.digests WHERE user_id = client GROUP BY 1, 2, 3, 4, 5;

  INSERT INTO retell.digest_zone (zone) VALUES ('UTC') ON CONFLICT DO NOTHING;
$$;
