-- Of a check that was erased nothing comes back with a later word about it; reviews are counted again where the count had drifted.

-- In the order of those who write both tables while this waits.
LOCK TABLE task_confirmations IN SHARE ROW EXCLUSIVE MODE;
CREATE OR REPLACE FUNCTION keep_erased_checks_out() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF EXISTS (SELECT FROM erased_photos WHERE task_id = NEW.check_id) THEN
        NEW.photo_url = '';
        NEW.correction_reason = NULL;
        NEW.extra = '{}';
    END IF;
    RETURN NEW;
END $$;
-- The trigger first: it keeps writers out until the rows of before are mended, too.
CREATE OR REPLACE TRIGGER keep_erased_checks_out BEFORE INSERT ON face_confirmations
    FOR EACH ROW EXECUTE FUNCTION keep_erased_checks_out();
UPDATE face_confirmations SET photo_url = '', correction_reason = NULL, extra = '{}'
    WHERE check_id IN (SELECT task_id FROM erased_photos)
        AND (photo_url <> '' OR correction_reason IS NOT NULL OR extra <> '{}');

-- As `0034` has it; a review that took no time at all, or as long as another one, is taken off, too.
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
        SELECT * FROM (
            SELECT COALESCE(model_version, '') AS model_version, corrected, sum(sign) AS counting,
                COALESCE(sum(sign) FILTER (WHERE took IS NOT NULL), 0) AS timed,
                COALESCE(sum(sign * took), 0) AS seconds, COALESCE(sum(sign * took * took), 0) AS squares
            FROM (SELECT c.*, review_seconds_of(c.extra)::numeric AS took FROM (%s) c WHERE c.counts) r
            GROUP BY 1, 2) changed
        WHERE (counting, timed, seconds, squares) <> (0, 0, 0, 0)
        ON CONFLICT (model_version, corrected) DO UPDATE SET counting = t.counting + EXCLUDED.counting,
            timed = t.timed + EXCLUDED.timed, seconds = t.seconds + EXCLUDED.seconds,
            squares = t.squares + EXCLUDED.squares $q$, rows_of);
    RETURN NULL;
END $$;
DELETE FROM review_totals;
INSERT INTO review_totals
    SELECT COALESCE(model_version, ''), corrected, count(*), count(took), COALESCE(sum(took), 0),
        COALESCE(sum(took * took), 0)
    FROM (SELECT c.*, review_seconds_of(c.extra)::numeric AS took FROM task_confirmations c WHERE c.counts) r
    GROUP BY 1, 2;
