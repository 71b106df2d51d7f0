-- Decisions against a retraining come with every intake and are thrown away after their time (RETRAIN_KEEP_DECISIONS_DAYS).
-- Why a retraining began is kept for ever, and nothing that was decided is ever rewritten.
DROP TRIGGER IF EXISTS append_only ON retraining_decisions;
CREATE TRIGGER append_only BEFORE UPDATE ON retraining_decisions FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE OR REPLACE TRIGGER reasons_stay BEFORE DELETE ON retraining_decisions FOR EACH ROW WHEN (OLD.due)
    EXECUTE FUNCTION refuse_change();
CREATE INDEX IF NOT EXISTS retraining_decisions_not_due ON retraining_decisions (model_type, decided_at) WHERE NOT due;
