-- What people say of tasks on the review page. A word can be taken back until it has settled; then it is the task's
-- result and an event, or it stands beside another person's word until one more person has spoken.

ALTER TABLE tasks
    ADD COLUMN branch_id text,
    ADD COLUMN confidence double precision CHECK (confidence BETWEEN 0 AND 1),
    ADD COLUMN for_review boolean NOT NULL DEFAULT true;
CREATE INDEX tasks_open ON tasks (created_at, task_id) WHERE confirmed_at IS NULL AND for_review;

CREATE TABLE reviews (
    id             text PRIMARY KEY,
    task_id        text NOT NULL REFERENCES tasks,
    reviewer_id    text NOT NULL,
    branch_id      text,
    final_result   text NOT NULL,
    reason         text,
    verdict_hidden boolean NOT NULL,
    review_seconds double precision NOT NULL,
    shown_at       timestamptz NOT NULL,
    said_at        timestamptz NOT NULL,
    leaves_at      timestamptz NOT NULL,
    settled_at     timestamptz,
    UNIQUE (task_id, reviewer_id)
);
CREATE INDEX reviews_leaving ON reviews (leaves_at) WHERE settled_at IS NULL;
CREATE INDEX reviews_said ON reviews (said_at);

CREATE TABLE opinions_wanted (
    task_id text PRIMARY KEY REFERENCES tasks,
    which   text NOT NULL CHECK (which IN ('second', 'third')),
    since   timestamptz NOT NULL
);

-- What the model events told: which version serves since when, and until when it has learned of corrections.
CREATE TABLE model_changes (
    position            bigserial PRIMARY KEY,
    event_id            text NOT NULL UNIQUE,
    version             text NOT NULL,
    since               timestamptz NOT NULL,
    corrections_through timestamptz
);
