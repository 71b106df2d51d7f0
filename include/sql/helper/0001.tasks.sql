-- The Helper service's database (stand-in). MLOps may only read `tasks`, with a login of its own (DD-03).

CREATE TABLE tasks (
    task_id           text PRIMARY KEY,
    helper_id         text NOT NULL,
    photo_url         text NOT NULL,
    ai_result         text NOT NULL,
    model_version     text,
    final_result      text,
    corrected         boolean,
    correction_reason text,
    created_at        timestamptz NOT NULL DEFAULT now(),
    confirmed_at      timestamptz
);
CREATE INDEX tasks_corrections ON tasks (confirmed_at DESC) WHERE corrected;
CREATE INDEX tasks_confirmed ON tasks (confirmed_at DESC, task_id) WHERE confirmed_at IS NOT NULL;

CREATE TABLE outbox (
    position     bigserial PRIMARY KEY,
    id           text NOT NULL UNIQUE,
    payload      jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz
);
CREATE INDEX outbox_pending ON outbox (position) WHERE published_at IS NULL;

GRANT SELECT ON tasks TO mlops_reader;
