-- Who began a retraining: whether it still lives is asked of them. Of those before, nobody can be asked.
ALTER TABLE retraining_runs ADD COLUMN IF NOT EXISTS begun_by text NOT NULL DEFAULT '';
