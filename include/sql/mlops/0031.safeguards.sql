-- When what protects the data last succeeded: a copy of the databases, the log after it, a restore of both.

CREATE TABLE IF NOT EXISTS safeguards (
    kind         text PRIMARY KEY CHECK (kind IN ('base', 'log', 'restore_test')),
    succeeded_at timestamptz NOT NULL,
    detail       text NOT NULL DEFAULT ''
);
