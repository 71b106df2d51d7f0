-- How many corrections wait, by day, and how long reviews took, by version: kept in the transaction that stores, sets aside or
-- recognises, so that whoever looks reads few rows, however many confirmations there are.

CREATE TABLE IF NOT EXISTS correction_days (
    counted_by text NOT NULL CHECK (counted_by IN ('confirmed', 'received')),
    day        date NOT NULL,       -- in UTC
    waiting    bigint NOT NULL,     -- corrections that count and are not withheld
    PRIMARY KEY (counted_by, day)
);
CREATE TABLE IF NOT EXISTS review_totals (
    model_version text NOT NULL,    -- '' when the confirmation named none
    corrected     boolean NOT NULL,
    counting      bigint NOT NULL,  -- confirmations that count
    timed         bigint NOT NULL,  -- of those that said how long the review took
    seconds       numeric NOT NULL, -- of all of them together; exact, because what no longer counts is taken off again
    squares       numeric NOT NULL, -- of each of them, together
    PRIMARY KEY (model_version, corrected)
);

-- What is asked of corrections is asked of those that are not withheld.
DROP INDEX IF EXISTS task_confirmations_corrections, task_confirmations_arrived;
CREATE INDEX IF NOT EXISTS task_confirmations_waiting ON task_confirmations (confirmed_at)
    WHERE corrected AND counts AND NOT withheld;
CREATE INDEX IF NOT EXISTS task_confirmations_waiting_arrived ON task_confirmations (received_at)
    WHERE corrected AND counts AND NOT withheld;

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
            ('confirmed', (c.confirmed_at AT TIME ZONE 'UTC')::date),
            ('received', (c.received_at AT TIME ZONE 'UTC')::date)) AS d (counted_by, day)
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

-- The triggers first: they keep writers out until the rows of before are counted, too.
CREATE OR REPLACE TRIGGER rolled_up_new AFTER INSERT ON task_confirmations REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION roll_up();
CREATE OR REPLACE TRIGGER rolled_up_changed AFTER UPDATE ON task_confirmations
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION roll_up();
CREATE OR REPLACE TRIGGER rolled_up_gone AFTER DELETE ON task_confirmations REFERENCING OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION roll_up();
DELETE FROM correction_days;
INSERT INTO correction_days
    SELECT d.counted_by, d.day, count(*) FROM task_confirmations c CROSS JOIN LATERAL (VALUES
        ('confirmed', (c.confirmed_at AT TIME ZONE 'UTC')::date),
        ('received', (c.received_at AT TIME ZONE 'UTC')::date)) AS d (counted_by, day)
    WHERE c.corrected AND c.counts AND NOT c.withheld GROUP BY 1, 2;
DELETE FROM review_totals;
INSERT INTO review_totals
    SELECT COALESCE(model_version, ''), corrected, count(*), count(took), COALESCE(sum(took), 0),
        COALESCE(sum(took * took), 0)
    FROM (SELECT c.*, review_seconds_of(c.extra)::numeric AS took FROM task_confirmations c WHERE c.counts) r
    GROUP BY 1, 2;

-- Whole days are read from `correction_days`, the rest of the first one from the rows themselves.
CREATE OR REPLACE FUNCTION corrections_confirmed_since(since timestamptz) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT ((SELECT COALESCE(sum(waiting), 0) FROM correction_days
            WHERE counted_by = 'confirmed' AND day > (since AT TIME ZONE 'UTC')::date)
    + (SELECT count(*) FROM task_confirmations WHERE corrected AND counts AND NOT withheld
        AND confirmed_at > since
        AND confirmed_at < ((since AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC'))::bigint $$;
CREATE OR REPLACE FUNCTION corrections_received_since(since timestamptz) RETURNS bigint LANGUAGE sql STABLE AS
$$ SELECT ((SELECT COALESCE(sum(waiting), 0) FROM correction_days
            WHERE counted_by = 'received' AND day > (since AT TIME ZONE 'UTC')::date)
    + (SELECT count(*) FROM task_confirmations WHERE corrected AND counts AND NOT withheld
        AND received_at > since
        AND received_at < ((since AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC'))::bigint $$;
