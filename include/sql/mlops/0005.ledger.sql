-- One ledger a model type: every entry has a number of its own, so that nobody appends to an older history than the one
-- it decided on; acts are named by their request; a rollback may be incomplete, a change unconfirmed.

ALTER TABLE transitions DISABLE TRIGGER append_only;
ALTER TABLE transitions ADD COLUMN entry bigint;
ALTER TABLE transitions ADD COLUMN request_id text;
UPDATE transitions t SET entry = n.entry, request_id = t.id
    FROM (SELECT seq, row_number() OVER (PARTITION BY model_type ORDER BY seq) AS entry FROM transitions) n
    WHERE n.seq = t.seq;
ALTER TABLE transitions ALTER COLUMN entry SET NOT NULL;
ALTER TABLE transitions ALTER COLUMN request_id SET NOT NULL;
ALTER TABLE transitions ADD CONSTRAINT transitions_one_entry UNIQUE (model_type, entry);
ALTER TABLE transitions DROP CONSTRAINT transitions_phase_check;
ALTER TABLE transitions ADD CONSTRAINT transitions_phase_check
    CHECK (phase IN ('requested', 'unconfirmed', 'failed', 'served', 'incomplete', 'completed', 'noted'));
ALTER TABLE transitions ENABLE TRIGGER append_only;
