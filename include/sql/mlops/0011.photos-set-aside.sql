-- What every dataset left out, and why: an odd row or photo is set aside by itself and named.

CREATE TABLE IF NOT EXISTS set_aside_tasks (
    dataset_id text NOT NULL REFERENCES datasets,
    task_id    text NOT NULL,
    photo_url  text NOT NULL,
    kind       text NOT NULL,
    reason     text NOT NULL
);
CREATE INDEX IF NOT EXISTS set_aside_tasks_by_dataset ON set_aside_tasks (dataset_id);
CREATE INDEX IF NOT EXISTS set_aside_tasks_by_task ON set_aside_tasks (task_id);
