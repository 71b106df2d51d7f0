-- How often each thing was confirmed or decided, kept as it happens: whoever watches asks every few seconds, and counting
-- ten million rows would take longer.

CREATE TABLE IF NOT EXISTS confirmation_totals (
    model_version  text NOT NULL,             -- '' when the confirmation named none
    final_result   text NOT NULL,
    corrected      boolean NOT NULL,
    stored         bigint NOT NULL,           -- confirmations that arrived, each once
    reviews_timed  bigint NOT NULL,           -- of those that said how long the review took
    review_seconds double precision NOT NULL, -- of all of them together
    PRIMARY KEY (model_version, final_result, corrected)
);

-- What is no plain number, or more than an hour at one photo, says nothing about the work; a cast would let one odd
-- message stop a whole batch.
CREATE OR REPLACE FUNCTION review_seconds_of(extra jsonb) RETURNS double precision LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN jsonb_typeof(extra -> 'reviewSeconds') = 'number'
               AND (extra -> 'reviewSeconds') BETWEEN '0'::jsonb AND '3600'::jsonb
          THEN round((extra ->> 'reviewSeconds')::numeric, 3)::double precision END $$;

-- In one order, so that two transactions that count the same never wait for each other in a circle.
CREATE OR REPLACE FUNCTION count_confirmations() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    INSERT INTO confirmation_totals AS t
    SELECT COALESCE(model_version, ''), final_result, corrected, count(*), count(review_seconds_of(extra)),
           COALESCE(sum(review_seconds_of(extra)), 0)
    FROM arrived GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (model_version, final_result, corrected) DO UPDATE SET
        stored = t.stored + EXCLUDED.stored, reviews_timed = t.reviews_timed + EXCLUDED.reviews_timed,
        review_seconds = t.review_seconds + EXCLUDED.review_seconds;
    RETURN NULL;
END $$;

CREATE TABLE IF NOT EXISTS decision_totals (
    model_type text NOT NULL,
    rule       text NOT NULL,
    due        boolean NOT NULL,
    decided    bigint NOT NULL,
    newest     timestamptz NOT NULL,
    PRIMARY KEY (model_type, rule, due)
);

CREATE OR REPLACE FUNCTION count_decisions() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    INSERT INTO decision_totals AS t
    SELECT model_type, rule, due, count(*), max(decided_at) FROM arrived GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (model_type, rule, due) DO UPDATE SET
        decided = t.decided + EXCLUDED.decided, newest = GREATEST(t.newest, EXCLUDED.newest);
    RETURN NULL;
END $$;

-- The triggers first: they keep writers out until the rows of before are counted, too.
CREATE OR REPLACE TRIGGER counted AFTER INSERT ON task_confirmations REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION count_confirmations();
CREATE OR REPLACE TRIGGER counted AFTER INSERT ON retraining_decisions REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION count_decisions();
DELETE FROM confirmation_totals;
INSERT INTO confirmation_totals
    SELECT COALESCE(model_version, ''), final_result, corrected, count(*), count(review_seconds_of(extra)),
           COALESCE(sum(review_seconds_of(extra)), 0)
    FROM task_confirmations GROUP BY 1, 2, 3;
DELETE FROM decision_totals;
INSERT INTO decision_totals
    SELECT model_type, rule, due, count(*), max(decided_at) FROM retraining_decisions GROUP BY 1, 2, 3;
