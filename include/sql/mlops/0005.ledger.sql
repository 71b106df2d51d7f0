-- One ledger a model type: every entry has a number of its own, so that nobody appends to an older history than the one
-- it decided on; acts are named by their request; a rollback may be incomplete, a change unconfirmed.
-- Killed after it was applied and before it was marked as applied, it runs again and changes nothing.

ALTER TABLE transitions DISABLE TRIGGER append_only;
ALTER TABLE transitions
    ADD COLUMN IF NOT EXISTS entry bigint,
    ADD COLUMN IF NOT EXISTS request_id text,
    ADD COLUMN IF NOT EXISTS at timestamptz,      -- when the act came as far as `phase`
    ADD COLUMN IF NOT EXISTS trial_id text;       -- of an aborted canary: the act that began it
UPDATE transitions t SET
        entry = n.entry,
        request_id = t.id,
        at = COALESCE(t.confirmed_served_at, CASE t.phase WHEN 'failed' THEN t.recorded_at END, t.requested_at),
        trial_id = CASE t.kind WHEN 'canary_abort' THEN regexp_replace(t.id, ':aborted$', '') END
    FROM (SELECT seq, row_number() OVER (PARTITION BY model_type ORDER BY seq) AS entry FROM transitions) n
    WHERE n.seq = t.seq AND t.entry IS NULL;
ALTER TABLE transitions
    ALTER COLUMN entry SET NOT NULL,
    ALTER COLUMN request_id SET NOT NULL,
    ALTER COLUMN at SET NOT NULL,
    DROP CONSTRAINT IF EXISTS transitions_one_entry,
    ADD CONSTRAINT transitions_one_entry UNIQUE (model_type, entry),
    DROP CONSTRAINT transitions_phase_check,
    ADD CONSTRAINT transitions_phase_check
        CHECK (phase IN ('requested', 'unconfirmed', 'failed', 'served', 'incomplete', 'completed', 'noted'));
ALTER TABLE transitions ENABLE TRIGGER append_only;
