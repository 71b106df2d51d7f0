-- What was erased comes back by no late message; what is append-only is not emptied in one go either.

CREATE OR REPLACE FUNCTION keep_erased_photos_out() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF EXISTS (SELECT FROM erased_photos WHERE task_id = NEW.task_id) THEN
        NEW.photo_url = '';
        NEW.extra = CASE WHEN NEW.extra -> 'blindAudit' = 'true' THEN '{"blindAudit": true}'::jsonb ELSE '{}' END;
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER keep_erased_photos_out BEFORE INSERT ON task_confirmations
    FOR EACH ROW EXECUTE FUNCTION keep_erased_photos_out();

CREATE INDEX IF NOT EXISTS task_confirmations_by_task ON task_confirmations (task_id);

DO $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY ARRAY['blessings', 'blessing_overrides', 'transitions', 'retraining_decisions', 'holdout_photos']
    LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER never_emptied BEFORE TRUNCATE ON %I'
                       ' FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', name);
    END LOOP;
END $$;

-- What the policy and the monitor ask of every confirmation since some moment, whatever its version.
CREATE INDEX IF NOT EXISTS task_confirmations_arrived ON task_confirmations (received_at) WHERE corrected;
CREATE INDEX IF NOT EXISTS task_confirmations_by_time
    ON task_confirmations (confirmed_at) INCLUDE (model_version, final_result, corrected, blind);
