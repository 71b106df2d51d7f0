-- What looks at weeks of confirmations reads few rows: what models were told, by quarters of an hour; and an erasure finds
-- the texts that name any address of S3 without reading a table of years.

CREATE TABLE IF NOT EXISTS verdict_quarters (
    quarter       timestamptz NOT NULL, -- when it begins
    model_version text NOT NULL,        -- '' when the confirmation named none
    final_result  text NOT NULL,
    blind         boolean NOT NULL,
    confirmed     bigint NOT NULL,      -- confirmations that count
    agreed        bigint NOT NULL,      -- of those that left the verdict as it was
    PRIMARY KEY (quarter, model_version, final_result, blind)
);

CREATE OR REPLACE FUNCTION quarter_of(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
$$ SELECT date_bin('15 minutes', at, '2000-01-01 00:00:00+00') $$;
-- The first that begins at this moment or later.
CREATE OR REPLACE FUNCTION quarter_from(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN quarter_of(at) = at THEN at ELSE quarter_of(at) + interval '15 minutes' END $$;

-- One writer after the other, as `roll_up` has it.
CREATE OR REPLACE FUNCTION roll_up_verdicts() RETURNS trigger LANGUAGE plpgsql AS
$$ DECLARE
    rows_of text := CASE TG_OP
        WHEN 'INSERT' THEN 'SELECT 1 AS sign, n.* FROM new_rows n'
        WHEN 'DELETE' THEN 'SELECT -1 AS sign, o.* FROM old_rows o'
        ELSE 'SELECT -1 AS sign, o.* FROM old_rows o UNION ALL SELECT 1, n.* FROM new_rows n' END;
BEGIN
    PERFORM pg_advisory_xact_lock(7240004);
    EXECUTE format($q$
        INSERT INTO verdict_quarters AS t
        SELECT * FROM (
            SELECT quarter_of(c.confirmed_at), COALESCE(c.model_version, ''), c.final_result, c.blind,
                sum(sign) AS confirmed, COALESCE(sum(sign) FILTER (WHERE NOT c.corrected), 0) AS agreed
            FROM (%s) c WHERE c.counts GROUP BY 1, 2, 3, 4) changed
        WHERE (confirmed, agreed) <> (0, 0)
        ON CONFLICT (quarter, model_version, final_result, blind) DO UPDATE SET
            confirmed = t.confirmed + EXCLUDED.confirmed, agreed = t.agreed + EXCLUDED.agreed $q$, rows_of);
    RETURN NULL;
END $$;

-- The triggers first: they keep writers out until the rows of before are counted, too.
CREATE OR REPLACE TRIGGER verdicts_rolled_up_new AFTER INSERT ON task_confirmations REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION roll_up_verdicts();
CREATE OR REPLACE TRIGGER verdicts_rolled_up_changed AFTER UPDATE ON task_confirmations
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION roll_up_verdicts();
CREATE OR REPLACE TRIGGER verdicts_rolled_up_gone AFTER DELETE ON task_confirmations
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION roll_up_verdicts();
DELETE FROM verdict_quarters;
INSERT INTO verdict_quarters
    SELECT quarter_of(confirmed_at), COALESCE(model_version, ''), final_result, blind, count(*),
        count(*) FILTER (WHERE NOT corrected)
    FROM task_confirmations WHERE counts GROUP BY 1, 2, 3, 4;

-- From `since`, which is in it, to `until`, which is not: whole quarters are read from the table, what is left at both
-- ends from the rows themselves. `model_version` is '' where the confirmation named none.
CREATE OR REPLACE FUNCTION verdicts_between(since timestamptz, until timestamptz) RETURNS TABLE (
    quarter timestamptz, model_version text, final_result text, blind boolean, confirmed bigint, agreed bigint
) LANGUAGE sql STABLE AS
$$ SELECT q.quarter, q.model_version, q.final_result, q.blind, q.confirmed, q.agreed FROM verdict_quarters q
    WHERE q.quarter >= quarter_from(since) AND q.quarter < quarter_of(until) AND q.confirmed <> 0
UNION ALL
SELECT quarter_of(c.confirmed_at), COALESCE(c.model_version, ''), c.final_result, c.blind, 1,
    CASE WHEN c.corrected THEN 0 ELSE 1 END
FROM task_confirmations c
WHERE c.counts AND c.confirmed_at >= since AND c.confirmed_at < LEAST(quarter_from(since), until)
UNION ALL
SELECT quarter_of(c.confirmed_at), COALESCE(c.model_version, ''), c.final_result, c.blind, 1,
    CASE WHEN c.corrected THEN 0 ELSE 1 END
FROM task_confirmations c
WHERE c.counts AND c.confirmed_at >= GREATEST(quarter_of(until), quarter_from(since)) AND c.confirmed_at < until $$;

-- The texts of a row as `pipeline/adapters/naming_texts.py` puts them together: of tables that grow for ever, the rows that name
-- an address of S3 are few.
DO
$$ DECLARE
    large record;
    texts text;
BEGIN
    FOR large IN SELECT * FROM (VALUES
        ('task_confirmations', 'key'), ('face_confirmations', 'key'), ('dataset_photos', 'dataset_id'),
        ('set_aside_tasks', 'dataset_id'), ('retraining_decisions', 'id'), ('live_accuracy_readings', 'id'),
        ('face_readings', 'id'), ('outbox', 'id')) AS t (name, key)
    LOOP
        SELECT string_agg(format(
                CASE format_type(a.atttypid, NULL) WHEN 'jsonb' THEN 'COALESCE(%I::text, '''')' ELSE 'COALESCE(%I, '''')' END,
                a.attname), ' || '' '' || ' ORDER BY a.attname)
            INTO texts
            FROM pg_attribute a
            WHERE a.attrelid = large.name::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
                AND a.attname <> 'photo_url' AND format_type(a.atttypid, NULL) IN ('text', 'jsonb')
                AND NOT EXISTS (
                    SELECT FROM pg_index i
                    WHERE i.indrelid = a.attrelid AND i.indisunique AND a.attnum = ANY (i.indkey));
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %I (%I) WHERE strpos(%s, ''s3://'') > 0',
            large.name || '_naming_s3', large.name, large.key, texts);
    END LOOP;
END $$;
