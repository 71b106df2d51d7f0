-- What a person refused another may force live: both words stay, and the force is the one that holds.

ALTER TABLE blessing_overrides DROP CONSTRAINT IF EXISTS blessing_overrides_pkey;
ALTER TABLE blessing_overrides ADD PRIMARY KEY (run_id, kind);
CREATE UNIQUE INDEX IF NOT EXISTS one_answer_a_run ON blessing_overrides (run_id) WHERE kind <> 'forced';

CREATE OR REPLACE VIEW standing_overrides AS
    SELECT DISTINCT ON (run_id) run_id, kind, actor, reason, decided_at FROM blessing_overrides
    ORDER BY run_id, kind = 'refused', decided_at;
