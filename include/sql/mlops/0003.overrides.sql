-- A person's word beside a verdict: a held run approved, or a refused one forced live.

CREATE TABLE blessing_overrides (
    run_id     text PRIMARY KEY REFERENCES blessings (run_id),
    kind       text NOT NULL CHECK (kind IN ('approved', 'forced')),
    actor      text NOT NULL CHECK (btrim(actor) <> ''),
    reason     text NOT NULL CHECK (btrim(reason) <> ''),
    decided_at timestamptz NOT NULL
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON blessing_overrides FOR EACH ROW EXECUTE FUNCTION refuse_change();
