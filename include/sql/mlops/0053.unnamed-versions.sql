-- A confirmation that names no version has none, however it was written: an earlier release stored '' where its event
-- said so, and the same question asked of rows and of quarters had two answers.

-- Whoever stores confirmations takes this lock, then the table: the other way round, both would wait for each other.
SELECT pg_advisory_xact_lock(7240004);

-- Rows of before may be larger: else they could not be mended.
ALTER TABLE task_confirmations DROP CONSTRAINT IF EXISTS bounded;

-- Where photos were confirmed both ways, the last word that is not set aside counts, as everywhere.
UPDATE task_confirmations c SET counts = false FROM (
    SELECT key, row_number() OVER (PARTITION BY photo ORDER BY withheld, confirmed_at DESC, key DESC) AS said
    FROM task_confirmations
    WHERE counts AND COALESCE(model_version, '') = ''
        AND photo IN (SELECT photo FROM task_confirmations WHERE counts AND model_version = '')
) ranked WHERE c.key = ranked.key AND ranked.said > 1;

-- The release of before may go on writing for a while.
CREATE OR REPLACE FUNCTION name_no_version() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    NEW.model_version = NULL;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER no_version_is_named BEFORE INSERT OR UPDATE ON task_confirmations
    FOR EACH ROW WHEN (NEW.model_version = '') EXECUTE FUNCTION name_no_version();
UPDATE task_confirmations SET model_version = NULL WHERE model_version = '';

-- As `0009` has it, but for the version.
ALTER TABLE task_confirmations
    ADD CONSTRAINT bounded CHECK (
        char_length(task_id) BETWEEN 1 AND 128
        AND char_length(helper_id) BETWEEN 1 AND 128
        AND char_length(final_result) BETWEEN 1 AND 40
        AND char_length(ai_result) BETWEEN 1 AND 40
        AND (correction_reason IS NULL OR char_length(correction_reason) <= 4000)
        AND char_length(photo_url) <= 1093
        AND (model_version IS NULL OR char_length(model_version) BETWEEN 1 AND 128)
        AND confirmed_at >= '2020-01-01T00:00:00Z'
        AND octet_length(extra::text) <= 16384
    ) NOT VALID;
