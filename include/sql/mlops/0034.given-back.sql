-- What is given back waits anew where a dataset went without it meanwhile: it was tried by none, whenever it was said.

ALTER TABLE task_confirmations
    ADD COLUMN IF NOT EXISTS withheld_at timestamptz,     -- of one that is withheld: since when
    ADD COLUMN IF NOT EXISTS came_back_at timestamptz;    -- given back after a dataset went without it
UPDATE task_confirmations SET withheld_at = COALESCE((SELECT min(at) FROM withholdings), now())
    WHERE withheld AND withheld_at IS NULL;

DROP INDEX IF EXISTS task_confirmations_waiting_arrived;
CREATE INDEX IF NOT EXISTS task_confirmations_waiting_since
    ON task_confirmations (GREATEST(confirmed_at, came_back_at)) WHERE corrected AND counts AND NOT withheld;
CREATE INDEX IF NOT EXISTS task_confirmations_waiting_here_since
    ON task_confirmations (GREATEST(received_at, came_back_at)) WHERE corrected AND counts AND NOT withheld;

-- One writer after the other: rows of days are touched in no order that everybody shares.
CREATE OR REPLACE FUNCTION roll_up() RETURNS trigger LANGUAGE plpgsql AS
$$ DECLARE
    rows_of text := CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT 1 AS sign, n.* FROM new_rows n'
        WHEN 'DELETE' THEN 'SELECT -1 AS sign, o.* FROM old_rows o'
        ELSE 'SELECT -1 AS sign, o.* FROM old_rows o UNION ALL SELECT 1, n.* FROM new_rows n' END;
BEGIN
    PERFORM pg_advisory_xact_lock(7240004);
    EXECUTE format($q$
        INSERT INTO correction_days AS t
        SELECT d.counted_by, d.day, sum(sign) FROM (%s) c CROSS JOIN LATERAL (VALUES
            ('confirmed', (GREATEST(c.confirmed_at, c.came_back_at) AT TIME ZONE 'UTC')::date),
            ('received', (GREATEST(c.received_at, c.came_back_at) AT TIME ZONE 'UTC')::date)) AS d (counted_by, day)
        WHERE c.corrected AND c.counts AND NOT c.withheld
        GROUP BY 1, 2 HAVING sum(sign) <> 0
        ON CONFLICT (counted_by, day) DO UPDATE SET waiting = t.waiting + EXCLUDED.waiting $q$, rows_of);
    EXECUTE format($q$
        INSERT INTO review_totals AS t
        SELECT COALESCE(model_version, ''), corrected, sum(sign), COALESCE(sum(sign) FILTER (WHERE took IS NOT NULL), 0),
            COALESCE(sum(sign * took), 0), COALESCE(sum(sign * took * took), 0)
        FROM (SELECT c.*, review_seconds_of(c.extra)::numeric AS took FROM (%s) c WHERE c.counts) r
        GROUP BY 1, 2 HAVING sum(sign) <> 0 OR COALESCE(sum(sign * took), 0) <> 0
        ON CONFLICT (model_version, corrected) DO UPDATE SET counting = t.counting + EXCLUDED.counting,
            timed = t.timed + EXCLUDED.timed, seconds = t.seconds + EXCLUDED.seconds,
            squares = t.squares + EXCLUDED.squares $q$, rows_of);
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION corrections_confirmed_since(since timestamptz) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT ((SELECT COALESCE(sum(waiting), 0) FROM correction_days
            WHERE counted_by = 'confirmed' AND day > (since AT TIME ZONE 'UTC')::date)
    + (SELECT count(*) FROM task_confirmations WHERE corrected AND counts AND NOT withheld
        AND GREATEST(confirmed_at, came_back_at) > since
        AND GREATEST(confirmed_at, came_back_at)
            < ((since AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC'))::bigint $$;
CREATE OR REPLACE FUNCTION corrections_received_since(since timestamptz) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT ((SELECT COALESCE(sum(waiting), 0) FROM correction_days
            WHERE counted_by = 'received' AND day > (since AT TIME ZONE 'UTC')::date)
    + (SELECT count(*) FROM task_confirmations WHERE corrected AND counts AND NOT withheld
        AND GREATEST(received_at, came_back_at) > since
        AND GREATEST(received_at, came_back_at)
            < ((since AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC'))::bigint $$;

-- Asked once for each row they could not be planned as a part of the question, and took a hundred times as long.
DROP FUNCTION IF EXISTS is_withheld(task_confirmations);
DROP FUNCTION IF EXISTS covers(text, text, timestamptz[], timestamptz[], task_confirmations);
