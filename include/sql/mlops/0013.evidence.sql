-- Of a task the last word counts, and a photo counts once for each version that judged it.

-- What a photo is told by: a hash of what it shows once somebody looked (see `cluster_id`), its address before that,
-- its task once it was erased.
ALTER TABLE task_confirmations
    ADD COLUMN IF NOT EXISTS cluster_id text,
    ADD COLUMN IF NOT EXISTS counts boolean NOT NULL DEFAULT true;
ALTER TABLE task_confirmations
    ADD COLUMN IF NOT EXISTS photo text NOT NULL
        GENERATED ALWAYS AS (COALESCE(cluster_id, NULLIF(photo_url, ''), task_id)) STORED;

UPDATE task_confirmations c SET counts = false FROM (
    SELECT key, row_number() OVER (PARTITION BY task_id ORDER BY confirmed_at DESC, key DESC) AS said
    FROM task_confirmations
) ranked WHERE c.key = ranked.key AND ranked.said > 1 AND c.counts;
UPDATE task_confirmations c SET counts = false FROM (
    SELECT key, row_number() OVER (PARTITION BY photo, model_version ORDER BY confirmed_at DESC, key DESC) AS said
    FROM task_confirmations WHERE counts
) ranked WHERE c.key = ranked.key AND ranked.said > 1 AND c.counts;

CREATE INDEX IF NOT EXISTS task_confirmations_by_photo ON task_confirmations (photo) WHERE counts;
CREATE INDEX IF NOT EXISTS task_confirmations_to_look_at
    ON task_confirmations (confirmed_at) WHERE counts AND cluster_id IS NULL;

-- What was asked of every confirmation is asked of those that count.
DROP INDEX IF EXISTS task_confirmations_by_version, task_confirmations_by_time, task_confirmations_corrections,
    task_confirmations_arrived;
CREATE INDEX task_confirmations_by_version
    ON task_confirmations (model_version, confirmed_at) INCLUDE (final_result, corrected, blind) WHERE counts;
CREATE INDEX task_confirmations_by_time
    ON task_confirmations (confirmed_at) INCLUDE (model_version, final_result, corrected, blind) WHERE counts;
CREATE INDEX task_confirmations_corrections ON task_confirmations (confirmed_at) WHERE corrected AND counts;
CREATE INDEX task_confirmations_arrived ON task_confirmations (received_at) WHERE corrected AND counts;
