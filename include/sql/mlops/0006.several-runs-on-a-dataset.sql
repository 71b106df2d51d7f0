-- A dataset may be tried by several runs: the verdict on each of them is a use of its holdout.

CREATE OR REPLACE VIEW holdout_uses AS
    SELECT h.model_type, h.version, count(DISTINCT h.task_id) AS photos, count(DISTINCT b.run_id) AS uses
    FROM holdout_photos h
    LEFT JOIN datasets d ON d.model_type = h.model_type AND d.holdout_version >= h.version
    LEFT JOIN training_results r ON r.dataset_id = d.dataset_id
    LEFT JOIN blessings b ON b.run_id = r.run_id
    GROUP BY h.model_type, h.version;

CREATE INDEX IF NOT EXISTS training_runs_by_dataset ON training_runs (dataset_id);
CREATE INDEX IF NOT EXISTS training_results_by_dataset ON training_results (dataset_id);
