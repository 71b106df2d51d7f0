-- A confirmation is identified by what it says, not by the message that it came in, and every field of it is bounded.

-- Keys are made as `domain/events.py` makes them. Of a confirmation that came in two messages the first row stays.
CREATE OR REPLACE FUNCTION pg_temp.key_of(task_confirmations) RETURNS text LANGUAGE sql AS
$$ SELECT encode(sha256(convert_to(concat_ws(
    E'\n', $1.task_id, to_char($1.confirmed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
    $1.ai_result, $1.final_result), 'UTF8')), 'hex') $$;
DELETE FROM task_confirmations USING (
    SELECT key, row_number() OVER (PARTITION BY pg_temp.key_of(c) ORDER BY received_at, key) AS copy
    FROM task_confirmations c
) counted WHERE task_confirmations.key = counted.key AND copy > 1;
UPDATE task_confirmations c SET key = pg_temp.key_of(c) WHERE key <> pg_temp.key_of(c);

-- As `domain/event_bounds.py` says. Rows of before may be larger: they are what they are.
ALTER TABLE task_confirmations
    DROP CONSTRAINT IF EXISTS bounded,
    ADD CONSTRAINT bounded CHECK (
        char_length(task_id) BETWEEN 1 AND 128
        AND char_length(helper_id) BETWEEN 1 AND 128
        AND char_length(final_result) BETWEEN 1 AND 40
        AND char_length(ai_result) BETWEEN 1 AND 40
        AND (correction_reason IS NULL OR char_length(correction_reason) <= 4000)
        AND char_length(photo_url) <= 1093
        AND (model_version IS NULL OR char_length(model_version) <= 128)
        AND confirmed_at >= '2020-01-01T00:00:00Z'
        AND octet_length(extra::text) <= 16384
    ) NOT VALID;
