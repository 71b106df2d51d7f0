-- What models said, by branch, and how sure they were: counted as confirmations come in, as `confirmation_totals` are.

CREATE TABLE IF NOT EXISTS prediction_totals (
    model_version text NOT NULL,             -- '' when the confirmation named none
    branch        text NOT NULL,             -- '' when it named none
    ai_result     text NOT NULL,
    stored        bigint NOT NULL,           -- confirmations that arrived, each once
    rated         bigint NOT NULL,           -- of those that said how sure the model was
    confidence    double precision NOT NULL, -- of all of them together, 0-1 each
    PRIMARY KEY (model_version, branch, ai_result)
);

CREATE OR REPLACE FUNCTION confidence_of(extra jsonb) RETURNS double precision LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN jsonb_typeof(extra -> 'confidence') = 'number'
               AND (extra -> 'confidence') BETWEEN '0'::jsonb AND '1'::jsonb
          THEN round((extra ->> 'confidence')::numeric, 6)::double precision END $$;

CREATE OR REPLACE FUNCTION branch_of(extra jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN jsonb_typeof(extra -> 'branchId') = 'string' AND length(extra ->> 'branchId') <= 64
          THEN extra ->> 'branchId' ELSE '' END $$;

CREATE OR REPLACE FUNCTION count_predictions() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    INSERT INTO prediction_totals AS t
    SELECT COALESCE(model_version, ''), branch_of(extra), ai_result, count(*), count(confidence_of(extra)),
           COALESCE(sum(confidence_of(extra)), 0)
    FROM arrived GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (model_version, branch, ai_result) DO UPDATE SET
        stored = t.stored + EXCLUDED.stored, rated = t.rated + EXCLUDED.rated,
        confidence = t.confidence + EXCLUDED.confidence;
    RETURN NULL;
END $$;

-- The trigger first: it keeps writers out until the rows of before are counted, too.
CREATE OR REPLACE TRIGGER predictions_counted AFTER INSERT ON task_confirmations REFERENCING NEW TABLE AS arrived
    FOR EACH STATEMENT EXECUTE FUNCTION count_predictions();
DELETE FROM prediction_totals;
INSERT INTO prediction_totals
    SELECT COALESCE(model_version, ''), branch_of(extra), ai_result, count(*), count(confidence_of(extra)),
           COALESCE(sum(confidence_of(extra)), 0)
    FROM task_confirmations GROUP BY 1, 2, 3;
