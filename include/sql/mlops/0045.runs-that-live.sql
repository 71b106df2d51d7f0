-- A retraining by hand says that it lives, and what a run was tried on before it began anew is known to an erasure.

-- None of those that Airflow runs, which is asked itself.
ALTER TABLE retraining_runs ADD COLUMN IF NOT EXISTS seen_at timestamptz;

CREATE TABLE IF NOT EXISTS forgotten_training_runs (
    run_id      text NOT NULL,
    dataset_id  text NOT NULL REFERENCES datasets,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (run_id, dataset_id)
);
CREATE INDEX IF NOT EXISTS forgotten_training_runs_of_dataset ON forgotten_training_runs (dataset_id);
